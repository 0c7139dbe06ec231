package metric

// NativeHistogram is the native buckets of a histogram. Their bounds follow from the schema,
// and only those with observations take space.
type NativeHistogram struct {
	// Schema, from -4 to 8, says how fine the buckets are: number i has the observations
	// above 2^((i-1) / 2^Schema) and not above 2^(i / 2^Schema). A negative bucket has those
	// whose opposite is there.
	Schema int
	// ZeroThreshold is the largest magnitude of the observations in ZeroCount.
	ZeroThreshold float64
	ZeroCount     uint64

	// Positive and Negative are the buckets of positive and negative observations.
	Positive, Negative []Span

	// Exemplars are those of all native buckets. One without a time is not shown.
	Exemplars []*Exemplar
}

// Span is the counts of adjacent native buckets. They are not cumulative.
type Span struct {
	// Offset of the first span is the number of its first bucket. Of any other, it is how
	// many buckets there are between the span before it and this one.
	Offset int
	Counts []uint64
}
