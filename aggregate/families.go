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

func (f *family) family(again bool) *metric.Family {
	if f.stale {
		slices.SortFunc(f.order, func(a, b *slot) int { return a.labels.Compare(b.labels) })
		f.stale, f.layout = false, 0
	}
	f.layOut()
	out := f.view
	dated := f.dense.dated
	if !again || out == nil || out.Layout != f.layout {
		out, dated = f.blank(), false
	}
	next, hidden := 0, f.hidden
	for i, n := range f.numbers {
		if len(hidden) > 0 && hidden[0] == i {
			hidden = hidden[1:]
			continue
		}
		to := &out.Series[next]
		next++
		if f.settled {
			f.order[i].fill(f, to)
		} else {
			f.dense.fill(f, n, to, dated)
		}
		if f.traced || again && f.viewTraced {
			f.order[i].fillExemplars(to)
		}
	}
	if again {
		f.view, f.viewTraced, f.dense.dated = out, f.traced, !f.settled
	}
	return out
}

// layOut gives the family another layout where it is shown in another way than in
// the scrape before.
func (f *family) layOut() {
	if f.layout == 0 {
		f.numbers = f.numbers[:0]
		for _, s := range f.order {
			f.numbers = append(f.numbers, s.number)
		}
	}
	shown := f.infoFilter()
	hidden := f.spare[:0]
	for i, n := range f.numbers {
		if there := f.settled && f.order[i].sums().present && shown(f.order[i].acc) || !f.settled && f.dense.has(f, n); !there {
			hidden = append(hidden, i)
		}
	}
	if f.layout == 0 || f.help != f.schema.Help || f.unit != f.schema.Unit || !slices.Equal(hidden, f.hidden) {
		f.layout, f.help, f.unit = metric.NewLayout(), f.schema.Help, f.schema.Unit
		f.hidden, f.spare = hidden, f.hidden
	} else {
		f.spare = hidden
	}
}

// blank returns the family with all that does not change, and without values.
func (f *family) blank() *metric.Family {
	out := &metric.Family{Name: f.name, Help: f.schema.Help, Unit: f.schema.Unit, Type: f.schema.Type, Layout: f.layout}
	out.Series = make([]metric.Series, 0, len(f.order)-len(f.hidden))
	var buckets []metric.Bucket // of all series of a histogram
	n := len(f.bounds) + 1
	if f.schema.Type == metric.Histogram {
		buckets = make([]metric.Bucket, cap(out.Series)*n)
	}
	hidden := f.hidden
	for i, s := range f.order {
		if len(hidden) > 0 && hidden[0] == i {
			hidden = hidden[1:]
			continue
		}
		one := metric.Series{Labels: s.labels}
		if buckets != nil {
			one.Buckets, buckets = buckets[:n:n], buckets[n:]
		}
		if f.schema.Type == metric.StateSet {
			one.States = make([]metric.State, len(f.schema.States))
		}
		out.Series = append(out.Series, one)
	}
	return out
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

func (s *slot) fillExemplars(out *metric.Series) {
	out.Exemplar = nil
	switch {
	case s.exemplars == nil:
	case len(out.Buckets) == 0:
		out.Exemplar = (*s.exemplars)[0]
	default:
		for i, x := range *s.exemplars {
			out.Buckets[i].Exemplar = x
		}
	}
}

// createdTime returns when the series began: the zero time where a process of
// client_python has it, which does not say.
func createdTime(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}
