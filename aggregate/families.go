package aggregate

import (
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// families turns the accumulators into what a scrape yields. Labels are shared
// between scrapes; values are new, or with again written over those of the last
// such scrape.
func (t *table) families(again bool) []*metric.Family {
	if t.sorted == nil {
		for _, fam := range t.byName {
			t.sorted = append(t.sorted, fam)
		}
		slices.SortFunc(t.sorted, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	}
	out := make([]*metric.Family, 0, len(t.sorted))
	for _, fam := range t.sorted {
		if f := fam.family(again); len(f.Series) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// shown is how a family is shown.
type shown struct {
	layout     uint64 // 0 once series have come or gone
	help, unit string
	numbers    []int32 // of the slots, in order
	hidden     []int   // in order: series that are not shown
	spare      []int   // for the next hidden

	// What View shows.
	view     *metric.Family
	revision uint32  // of the next time that it is shown
	places   []int32 // by number of the slot in dense: where view has it, or -1
	touched  []int32 // numbers of slots in dense that have changed since view was shown
	all      bool    // anything may have changed
	traced   bool    // view may have exemplars
}

// touch notes that what dense has of slot n has changed.
func (f *family) touch(n int) {
	s := &f.shown
	switch {
	case s.all || s.view == nil || s.view.Layout != s.layout:
		return // it is written with all others
	case n >= len(s.places) || s.places[n] < 0:
		s.all = true // one that is new, or was hidden until now
		return
	}
	if at := &s.view.Revisions[s.places[n]]; *at != s.revision {
		*at = s.revision
		s.touched = append(s.touched, int32(n))
	}
}

func (f *family) family(again bool) *metric.Family {
	f.arrange()
	if !again {
		out := f.blank()
		f.fillAll(out, false)
		if f.traced {
			f.fillExemplars(out)
		}
		return out
	}
	s := &f.shown
	dated := f.dense.dated
	if s.view == nil || s.view.Layout != s.layout {
		s.view, s.all, dated = f.blank(), true, false
		s.view.Revisions = make([]uint32, len(s.view.Series))
	}
	if s.all || f.settled || !dated {
		f.fillAll(s.view, dated)
		for i := range s.view.Revisions {
			s.view.Revisions[i] = s.revision
		}
	} else {
		for _, n := range s.touched {
			f.dense.fill(f, int(n), &s.view.Series[s.places[n]], true)
		}
	}
	if f.traced || s.traced {
		f.fillExemplars(s.view)
	}
	s.view.Revision = s.revision
	s.touched, s.all, s.traced, f.dense.dated = s.touched[:0], false, f.traced, !f.settled
	if s.revision++; s.revision == 0 {
		s.layout = 0 // the numbers begin again
	}
	return s.view
}

// arrange sorts the series and finds out which of them are shown, where that may be
// others than in the scrape before. If so, the layout is another one.
func (f *family) arrange() {
	s := &f.shown
	if f.stale {
		slices.SortFunc(f.order, func(a, b *slot) int { return a.labels.Compare(b.labels) })
		f.stale, s.layout = false, 0
	}
	if !s.all && !f.settled && s.layout != 0 && s.help == f.schema.Help && s.unit == f.schema.Unit {
		return
	}
	if s.layout == 0 {
		s.numbers = s.numbers[:0]
		for _, slot := range f.order {
			s.numbers = append(s.numbers, int32(slot.number))
		}
	}
	filter := f.infoFilter()
	hidden := s.spare[:0]
	for i, n := range s.numbers {
		if there := f.settled && f.order[i].sums().present && filter(f.order[i].acc) || !f.settled && f.dense.has(f, int(n)); !there {
			hidden = append(hidden, i)
		}
	}
	if s.layout != 0 && s.help == f.schema.Help && s.unit == f.schema.Unit && slices.Equal(hidden, s.hidden) {
		s.spare = hidden
		return
	}
	s.layout, s.help, s.unit = metric.NewLayout(), f.schema.Help, f.schema.Unit
	s.hidden, s.spare = hidden, s.hidden
	s.place(len(f.dense.slots))
}

// place notes where the view has which of n slots of dense.
func (s *shown) place(n int) {
	s.places = slices.Grow(s.places[:0], n)[:n]
	for i := range s.places {
		s.places[i] = -1
	}
	if n == 0 {
		return
	}
	next, hidden := int32(0), s.hidden
	for i, n := range s.numbers {
		if len(hidden) > 0 && hidden[0] == i {
			hidden = hidden[1:]
			continue
		}
		s.places[n] = next
		next++
	}
}

// blank returns the family with all that does not change, and without values.
func (f *family) blank() *metric.Family {
	out := &metric.Family{Name: f.name, Help: f.schema.Help, Unit: f.schema.Unit, Type: f.schema.Type, Layout: f.shown.layout}
	out.Series = make([]metric.Series, 0, len(f.order)-len(f.shown.hidden))
	var buckets []metric.Bucket // of all series of a histogram
	n := len(f.bounds) + 1
	if f.schema.Type == metric.Histogram {
		buckets = make([]metric.Bucket, cap(out.Series)*n)
	}
	f.eachShown(func(i, _ int) {
		one := metric.Series{Labels: f.order[i].labels}
		if buckets != nil {
			one.Buckets, buckets = buckets[:n:n], buckets[n:]
		}
		if f.schema.Type == metric.StateSet {
			one.States = make([]metric.State, len(f.schema.States))
		}
		out.Series = append(out.Series, one)
	})
	return out
}

// eachShown calls fn for every series that is shown: with its place in order, and
// that among those shown.
func (f *family) eachShown(fn func(i, place int)) {
	place, hidden := 0, f.shown.hidden
	for i := range f.order {
		if len(hidden) > 0 && hidden[0] == i {
			hidden = hidden[1:]
			continue
		}
		fn(i, place)
		place++
	}
}

// fillAll writes all values. dated is as with dense.fill.
func (f *family) fillAll(out *metric.Family, dated bool) {
	f.eachShown(func(i, place int) {
		if f.settled {
			f.order[i].fill(f, &out.Series[place])
		} else {
			f.dense.fill(f, int(f.shown.numbers[i]), &out.Series[place], dated)
		}
	})
}

// fillExemplars writes all exemplars.
func (f *family) fillExemplars(out *metric.Family) {
	f.eachShown(func(i, place int) {
		if f.order[i].fillExemplars(&out.Series[place]) && out.Revisions != nil {
			out.Revisions[place] = f.shown.revision
		}
	})
}

// infoFilter returns which series of an info are shown: those of living
// processes, or, where none lives, those of the newest dead one.
func (f *family) infoFilter() func(*accumulator) bool {
	if f.schema.Type != metric.Info {
		return func(*accumulator) bool { return true }
	}
	anyLive, newest := false, int64(0)
	for _, s := range f.order {
		a := s.sums()
		anyLive = anyLive || a.live
		newest = max(newest, a.newest)
	}
	return func(a *accumulator) bool { return a.live || !anyLive && a.newest == newest }
}

// fill writes the values of the slot.
func (s *slot) fill(f *family, out *metric.Series) {
	a := s.sums()
	switch f.schema.Type {
	case metric.Counter:
		out.Value, out.Created = a.counter(), createdTime(a.created)
	case metric.Summary:
		out.Count, out.Sum, out.Created = a.ints, a.sum.round(), createdTime(a.created)
	case metric.Histogram:
		metric.CumulateInto(out.Buckets, f.bounds, a.counts)
		out.Count = out.Buckets[len(f.bounds)].Count
		out.Sum, out.Created = a.sum.round(), createdTime(a.created)
	case metric.Info:
		out.Value = 1
	case metric.StateSet:
		on := a.state(f.schema)
		for i, name := range f.schema.States {
			out.States[i] = metric.State{Name: name, On: uint64(i) == on}
		}
	default:
		out.Value = a.gaugeValue(f.schema)
	}
}

// fillExemplars reports whether they are others than out had.
func (s *slot) fillExemplars(out *metric.Series) (changed bool) {
	put := func(to **metric.Exemplar, x *metric.Exemplar) {
		changed = changed || *to != x
		*to = x
	}
	if len(out.Buckets) == 0 {
		var x *metric.Exemplar
		if s.exemplars != nil {
			x = (*s.exemplars)[0]
		}
		put(&out.Exemplar, x)
		return changed
	}
	for i := range out.Buckets {
		var x *metric.Exemplar
		if s.exemplars != nil {
			x = (*s.exemplars)[i]
		}
		put(&out.Buckets[i].Exemplar, x)
	}
	return changed
}

// createdTime returns when the series began: the zero time where a process of
// client_python has it, which does not say.
func createdTime(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}
