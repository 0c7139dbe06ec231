package aggregate

import (
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// families turns the accumulators into what a scrape yields. Labels are shared
// between scrapes; values are new.
func (t *table) families() []*metric.Family {
	if t.sorted == nil {
		for _, fam := range t.byName {
			t.sorted = append(t.sorted, fam)
		}
		slices.SortFunc(t.sorted, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	}
	out := make([]*metric.Family, 0, len(t.sorted))
	for _, fam := range t.sorted {
		if f := fam.family(); len(f.Series) > 0 {
			out = append(out, f)
		}
	}
	return out
}

func (f *family) family() *metric.Family {
	if f.stale {
		slices.SortFunc(f.order, func(a, b *slot) int { return a.labels.Compare(b.labels) })
		f.stale, f.layout = false, 0
	}
	out := &metric.Family{Name: f.name, Help: f.schema.Help, Unit: f.schema.Unit, Type: f.schema.Type}
	out.Series = make([]metric.Series, 0, len(f.order))
	hidden := make([]int, 0, len(f.hidden))
	var buckets []metric.Bucket // of all series of a histogram
	if f.schema.Type == metric.Histogram {
		buckets = make([]metric.Bucket, len(f.order)*(len(f.bounds)+1))
	}
	shown := f.infoFilter()
	for i, s := range f.order {
		if !s.acc.present || !shown(&s.acc) {
			hidden = append(hidden, i)
			continue
		}
		var own []metric.Bucket
		if buckets != nil {
			n := len(f.bounds) + 1
			own, buckets = buckets[:n:n], buckets[n:]
		}
		out.Series = append(out.Series, s.series(f, own))
	}
	if f.layout == 0 || f.laidOut != f.schema || !slices.Equal(hidden, f.hidden) {
		f.layout, f.laidOut, f.hidden = metric.NewLayout(), f.schema, hidden
	}
	out.Layout = f.layout
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

func (s *slot) series(f *family, buckets []metric.Bucket) metric.Series {
	a := &s.acc
	out := metric.Series{Labels: s.labels}
	switch f.schema.Type {
	case metric.Counter:
		out.Value, out.Created = a.counter(), a.createdTime()
		if s.exemplars != nil {
			out.Exemplar = (*s.exemplars)[0]
		}
	case metric.Summary:
		out.Count, out.Sum, out.Created = a.ints, a.sum.round(), a.createdTime()
	case metric.Histogram:
		metric.CumulateInto(buckets, f.bounds, a.counts)
		out.Buckets, out.Count = buckets, buckets[len(buckets)-1].Count
		out.Sum, out.Created = a.sum.round(), a.createdTime()
		if s.exemplars != nil {
			for i, x := range *s.exemplars {
				buckets[i].Exemplar = x
			}
		}
	case metric.Info:
		out.Value = 1
	case metric.StateSet:
		out.States = make([]metric.State, len(f.schema.States))
		on := a.state(f.schema)
		for i, name := range f.schema.States {
			out.States[i] = metric.State{Name: name, On: uint64(i) == on}
		}
	default:
		out.Value = a.gaugeValue(f.schema)
	}
	return out
}

// createdTime returns when the series began: the zero time where a process of
// client_python has it, which does not say.
func (a *accumulator) createdTime() time.Time {
	if a.created == 0 {
		return time.Time{}
	}
	return time.Unix(0, a.created)
}
