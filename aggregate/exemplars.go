package aggregate

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// exemplar is an exemplar of a file's series, as it was read last.
type exemplar struct {
	series int // its number in the file
	number uint64
	x      *metric.Exemplar // nil for none
}

// takeExemplars returns the exemplars that the reader leads to. old are those of
// the read before; where none has changed they are returned again.
func takeExemplars(r *mmapstore.Reader, old []exemplar) []exemplar {
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

// offer puts an exemplar in the place of an older one. Its bucket follows from its
// value: those of a file may be wider than those of the family.
func (s exemplarSet) offer(bounds []float64, x *metric.Exemplar) {
	i := 0
	if len(s) > 1 {
		if i, _ = slices.BinarySearch(bounds, x.Value); math.IsNaN(x.Value) {
			i = len(bounds)
		}
	}
	if s[i] == nil || x.Compare(s[i]) > 0 {
		s[i] = x
	}
}

// offer gives a series an exemplar of one of its processes.
func (s slot) offer(x *metric.Exemplar) {
	f := s.family
	f.exemplarsAt = long(f.exemplarsAt, len(f.text))
	at := &f.exemplarsAt[s.number]
	if *at == 0 {
		f.exemplars = append(f.exemplars, newExemplarSet(f.schema, f.bounds))
		*at = int32(len(f.exemplars))
	}
	f.traced = true
	f.exemplars[*at-1].offer(f.bounds, x)
}

// exemplarsOf returns the set of a series, nil where its number has never had an exemplar.
func (f *family) exemplarsOf(n int32) exemplarSet {
	if int(n) >= len(f.exemplarsAt) || f.exemplarsAt[n] == 0 {
		return nil
	}
	return f.exemplars[f.exemplarsAt[n]-1]
}
