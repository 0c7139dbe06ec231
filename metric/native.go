package metric

// NativeHistogram is what a histogram's series has if its buckets are native: their bounds
// follow from the schema, and only buckets that have observations take space. The count and
// the sum are those of the Series. It can also have classic Buckets, of the same
// observations.
type NativeHistogram struct {
	// Schema, from -4 to 8, says how fine the buckets are: bucket i has the observations
	// above 2^((i-1) / 2^Schema) and not above 2^(i / 2^Schema), or their opposites.
	Schema int
	// ZeroThreshold: observations of at most this magnitude are in ZeroCount.
	ZeroThreshold float64
	ZeroCount     uint64

	Positive, Negative []Span

	// Exemplars, ascending by time. One without a time is not shown.
	Exemplars []*Exemplar
}

// Span is the counts of adjacent buckets. They are not cumulative.
type Span struct {
	// Offset is the number of the span's first bucket if it is the first span. Otherwise it
	// is how many buckets there are between the span before and this one.
	Offset int
	Counts []uint64
}
