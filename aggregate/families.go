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
	if !again || out == nil || out.Layout != f.layout {
		out = f.blank()
	}
	next, hidden := 0, f.hidden
	for i, s := range f.order {
		if len(hidden) > 0 && hidden[0] == i {
			hidden = hidden[1:]
			continue
		}
		s.fill(f, &out.Series[next])
		next++
	}
	if again {
		f.view = out
	}
	return out
}

// layOut gives the family another layout where it is shown in another way than in
// the scrape before.
func (f *family) layOut() {
	shown := f.infoFilter()
	hidden := f.spare[:0]
	for i, s := range f.order {
		if !s.acc.present || !shown(&s.acc) {
			hidden = append(hidden, i)
		}
	}
	if f.layout == 0 || f.laidOut != f.schema || !slices.Equal(hidden, f.hidden) {
		f.layout, f.laidOut = metric.NewLayout(), f.schema
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
		anyLive = anyLive || s.acc.live
		newest = max(newest, s.acc.newest)
	}
	return func(a *accumulator) bool { return a.live || !anyLive && a.newest == newest }
}

// fill writes the values of the slot.
func (s *slot) fill(f *family, out *metric.Series) {
	a := &s.acc
	switch f.schema.Type {
	case metric.Counter:
		out.Value, out.Created = a.counter(), a.createdTime()
		if s.exemplars != nil {
			out.Exemplar = (*s.exemplars)[0]
		}
	case metric.Summary:
		out.Count, out.Sum, out.Created = a.ints, a.sum.round(), a.createdTime()
	case metric.Histogram:
		metric.CumulateInto(out.Buckets, f.bounds, a.counts)
		out.Count = out.Buckets[len(f.bounds)].Count
		out.Sum, out.Created = a.sum.round(), a.createdTime()
		if s.exemplars != nil {
			for i, x := range *s.exemplars {
				out.Buckets[i].Exemplar = x
			}
		}
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

// createdTime returns when the series began: the zero time where a process of
// client_python has it, which does not say.
func (a *accumulator) createdTime() time.Time {
	if a.created == 0 {
		return time.Time{}
	}
	return time.Unix(0, a.created)
}
