package multiproc

import (
	"math"
	"slices"
)

// DefBuckets are the buckets of a histogram that names none: seconds, as
// client_python has them.
var DefBuckets = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// LinearBuckets returns count bounds, width apart, from start. It panics
// unless count and width are positive.
func LinearBuckets(start, width float64, count int) []float64 {
	if count < 1 || !(width > 0) {
		panic("multiproc: LinearBuckets needs a positive count and width")
	}
	out := make([]float64, count)
	for i := range out {
		out[i] = start + float64(i)*width
	}
	return out
}

// ExponentialBuckets returns count bounds from start, each factor times the
// one before. It panics unless count and start are positive and factor is
// above 1.
func ExponentialBuckets(start, factor float64, count int) []float64 {
	if count < 1 || !(start > 0) || !(factor > 1) {
		panic("multiproc: ExponentialBuckets needs a positive count and start and a factor above 1")
	}
	out := make([]float64, count)
	for i := range out {
		out[i] = start
		start *= factor
	}
	return out
}

// ExponentialBucketsRange returns count bounds from min to max, each the same
// factor times the one before. It panics unless count is at least 2, min is
// positive and max above it.
func ExponentialBucketsRange(min, max float64, count int) []float64 {
	if count < 2 || !(min > 0) || !(max > min) {
		panic("multiproc: ExponentialBucketsRange needs a count of at least 2 and 0 < min < max")
	}
	out := make([]float64, count)
	factor := math.Pow(max/min, 1/float64(count-1))
	for i := range out {
		out[i] = min * math.Pow(factor, float64(i))
	}
	out[count-1] = max // not what rounding made of it
	return out
}

// bucketTable finds the bucket of a value: the top bits of a double, exponent
// and three bits of the mantissa, lead to the first bound that can hold it, and
// comparisons from there on to the one that does.
type bucketTable struct {
	bounds []float64
	base   uint64 // top bits of the lowest positive bound
	first  [tableSize]uint16
	// search: the table would be wrong or slow. Negative bounds do not have the
	// order of their bits; of crowded ones many share their top bits.
	search bool
}

const (
	tableSize  = 256
	tableShift = 52 - 3
	// maxCompares is how many bounds may be passed by comparing.
	maxCompares = 16
)

func newBucketTable(bounds []float64) *bucketTable {
	t := &bucketTable{bounds: bounds}
	lowest := bounds[0]
	if lowest == 0 && len(bounds) > 1 {
		lowest = bounds[1]
	}
	t.base = math.Float64bits(lowest) >> tableShift
	for i := range t.first {
		edge := math.Float64frombits((t.base + uint64(i)) << tableShift)
		n, _ := slices.BinarySearch(bounds, edge)
		t.first[i] = uint16(n)
	}
	most := len(bounds) - int(t.first[tableSize-1]) // beyond the table's range
	for i := 1; i < tableSize; i++ {
		most = max(most, int(t.first[i])-int(t.first[i-1]))
	}
	t.search = bounds[0] < 0 || most > maxCompares
	return t
}

// find returns the place of the first bound that is at least v, or that of
// +Inf, where NaN goes too.
func (t *bucketTable) find(v float64) int {
	i := 0
	switch {
	case v != v:
		return len(t.bounds)
	case t.search:
		i, _ = slices.BinarySearch(t.bounds, v)
		return i
	case v > 0:
		if key := math.Float64bits(v) >> tableShift; key >= t.base {
			i = int(t.first[min(key-t.base, tableSize-1)])
		}
	}
	for i < len(t.bounds) && t.bounds[i] < v {
		i++
	}
	return i
}
