package multiproc

import (
	"math"
	"slices"
)

// DefBuckets are the default buckets of a histogram, in seconds. They are those of
// client_python.
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

// ExponentialBuckets returns count bounds from start, each factor times the one before. It
// panics unless count and start are positive and factor is above 1.
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
	out[count-1] = max // exactly, whatever rounding made of it
	return out
}

// bucketTable finds the bucket of a value. The top bits of a double, which are the exponent
// and three bits of the mantissa, lead to the first bound that can hold it. At most one
// bound usually has these bits, and then one comparison of whole numbers decides between
// two buckets. If several have them, comparisons of floats follow.
type bucketTable struct {
	bounds []float64
	base   uint64 // top bits of the lowest positive bound
	ranges [tableSize]bucketRange
	single bool // no range has two bounds, and none has NaN
	// search: a table would be wrong or slow. The bits of negative bounds are in another
	// order, and many crowded bounds have the same top bits.
	search bool
}

// bucketRange says where the values with the same top bits go.
type bucketRange struct {
	first int    // the first bound that is at least the lowest of these values
	bits  uint64 // of that bound: its bucket has the values up to it
}

const (
	tableSize  = 256
	tableShift = 52 - 3
	// maxCompares is how many bounds a search may compare one after the other.
	maxCompares = 16
)

func newBucketTable(bounds []float64) *bucketTable {
	t := &bucketTable{bounds: bounds}
	if len(bounds) == 0 { // +Inf only
		t.search = true
		return t
	}
	lowest := bounds[0]
	if lowest == 0 && len(bounds) > 1 {
		lowest = bounds[1]
	}
	t.base = math.Float64bits(lowest) >> tableShift
	firstFrom := func(number int) int {
		n, _ := slices.BinarySearch(bounds, math.Float64frombits((t.base+uint64(number))<<tableShift))
		return n
	}
	most := 0 // bounds in a range
	for i := range t.ranges {
		n, next := firstFrom(i), firstFrom(i+1)
		t.ranges[i] = bucketRange{first: n, bits: math.MaxUint64}
		if n < len(bounds) {
			t.ranges[i].bits = math.Float64bits(bounds[n])
		}
		most = max(most, next-n)
	}
	finite := t.base+tableSize <= math.Float64bits(math.Inf(1))>>tableShift
	t.single = finite && bounds[0] >= 0 && most <= 1
	beyond := len(bounds) - firstFrom(tableSize-1) // bounds in or after the last range
	t.search = bounds[0] < 0 || max(most, beyond) > maxCompares
	return t
}

// find returns the index of the first bound that is at least v, or len(bounds), which is
// the bucket +Inf. NaN is there too.
func (t *bucketTable) find(v float64) int {
	i, ok := t.look(v)
	if !ok {
		i = t.findByComparing(v)
	}
	return i
}

// look is find for values that are in the table. It is inlined.
func (t *bucketTable) look(v float64) (i int, ok bool) {
	bits := math.Float64bits(v)
	number := bits>>tableShift - t.base // beyond the table if v is negative or below all bounds
	if number >= tableSize || !t.single {
		return 0, false
	}
	i = t.ranges[number].first
	next := i + 1
	if bits > t.ranges[number].bits { // compiled without a jump, which no predictor would guess
		i = next
	}
	return i, true
}

func (t *bucketTable) findByComparing(v float64) int {
	i := 0
	switch {
	case v != v:
		return len(t.bounds)
	case t.search:
		i, _ = slices.BinarySearch(t.bounds, v)
		return i
	case v > 0:
		if key := math.Float64bits(v) >> tableShift; key >= t.base {
			i = t.ranges[min(key-t.base, tableSize-1)].first
		}
	}
	for i < len(t.bounds) && t.bounds[i] < v {
		i++
	}
	return i
}
