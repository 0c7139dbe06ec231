package aggregate

import (
	"cmp"
	"math"
	"slices"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// exemplar is an exemplar of a file's series, as it was read last.
type exemplar struct {
	series int // its number in the file
	number uint64
	x      *metric.Exemplar // nil for none
}

// takeExemplars returns the exemplars that the reader leads to. old are those of
// the read before; where none has changed they are returned again.
func takeExemplars(r *mpm.Reader, old []exemplar) []exemplar {
	places := r.Exemplars()
	out, own := old, false // others hold the old ones
	for i := range places {
		if i < len(old) && old[i].number == places[i].Number() {
			continue
		}
		if !own {
			out, own = make([]exemplar, len(places)), true
			copy(out, old)
		}
		out[i].series = places[i].Series
		out[i].x, out[i].number = places[i].Load()
	}
	return out
}

// exemplarSet holds the newest exemplar of each bucket of a histogram, or the one
// of a counter.
type exemplarSet []*metric.Exemplar

func newExemplarSet(schema *metric.Schema, bounds []float64) exemplarSet {
	if schema.Type == metric.Histogram {
		return make(exemplarSet, len(bounds)+1)
	}
	return make(exemplarSet, 1)
}

// exemplarBucket returns which bucket an exemplar belongs to, 0 where there are none. It
// follows from the value: the buckets of a file may be wider than those of the family.
func exemplarBucket(schema *metric.Schema, bounds []float64, value float64) (i int) {
	switch {
	case schema.Type != metric.Histogram:
		return 0
	case math.IsNaN(value):
		return len(bounds)
	}
	i, _ = slices.BinarySearch(bounds, value)
	return i
}

// offer gives a series an exemplar of one of its processes, which takes the place of one
// that is older to a reader whose clock says now.
func (s row) offer(x *metric.Exemplar, now int64) {
	f := s.family
	f.exemplarsAt = long(f.exemplarsAt, len(f.symbol))
	at := &f.exemplarsAt[s.number]
	if *at == 0 {
		f.exemplars = append(f.exemplars, newExemplarSet(f.schema, f.bounds))
		*at = int32(len(f.exemplars))
	}
	f.traced = true
	old := &f.exemplars[*at-1][exemplarBucket(f.schema, f.bounds, x.Value)]
	if *old == nil || cmp.Or(compareTimes(x.Timestamp.UnixNano(), (*old).Timestamp.UnixNano(), now), x.Compare(*old)) > 0 {
		*old = x
	}
}

// exemplarsOf returns the set of a series, nil where its number has never had an exemplar.
func (f *family) exemplarsOf(n int32) exemplarSet {
	if int(n) >= len(f.exemplarsAt) || f.exemplarsAt[n] == 0 {
		return nil
	}
	return f.exemplars[f.exemplarsAt[n]-1]
}
