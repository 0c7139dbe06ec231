package mpm

import (
	"math"
	"sync/atomic"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// LiveRegions returns the regions of live series by the number of the series.
func (r *Reader) LiveRegions() map[int][]Region {
	out := map[int][]Region{}
	for _, one := range r.Regions() {
		if !one.Removed {
			out[one.Series] = append(out[one.Series], one)
		}
	}
	return out
}

// ReadNative reads what a native series has, as it would be merged, and writes to s what is
// shown of it. words are its words and regions its regions. Call it within Guard.
func ReadNative(s *metric.Series, schema *metric.Schema, words []uint64, regions []Region) *histogram.Total {
	var t histogram.Total
	t.Define(histogram.DefinitionOf(schema.Native))
	word := func(i int) uint64 { return atomic.LoadUint64(&words[i]) }
	t.NaN, t.Zero = word(histogram.CellNaN), word(histogram.CellZero)
	s.Sum = math.Float64frombits(word(histogram.CellSum))
	classic := make([]uint64, len(schema.Bounds)+1)
	for i := range schema.Bounds {
		classic[i] = word(CellNativeBuckets + i)
	}
	for _, r := range regions {
		for j := range r.Counts {
			t.Add(r.Schema, r.Negative, histogram.RegionBuckets*r.Number+int32(j), atomic.LoadUint64(&r.Counts[j]))
		}
	}
	t.Fit()
	s.Native = &metric.NativeHistogram{}
	count, ok := t.Show(s.Native, math.IsNaN(s.Sum))
	if !ok {
		count, s.Native = math.MaxInt64, nil
	}
	s.Count, s.Buckets = count, metric.Cumulate(schema.Bounds, classic)
	for i := range s.Buckets {
		s.Buckets[i].Count = min(s.Buckets[i].Count, count)
	}
	s.Buckets[len(schema.Bounds)].Count = count
	return &t
}
