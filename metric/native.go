package metric

import (
	"errors"
	"fmt"
	"math"
)

// NativeSchema is what a histogram with native buckets declares of them.
type NativeSchema struct {
	// Schema, from -4 to 8, says how fine the buckets are at first, see NativeHistogram.
	Schema int
	// MaxBuckets, from 1 to 1024, is how many buckets with observations a series has. If there
	// are more, Schema falls.
	MaxBuckets int
	// ZeroThreshold is the largest magnitude of the observations that the zero bucket has. It
	// is finite and not negative.
	ZeroThreshold float64
	// MaxExemplars, from 0 to 16, is how many exemplars the native buckets have together.
	MaxExemplars int
}

// Limits of a NativeSchema.
const (
	minNativeSchema    = -4
	maxNativeSchema    = 8
	maxNativeBuckets   = 1024
	maxNativeExemplars = 16
)

func (n *NativeSchema) check() error {
	switch {
	case n.Schema < minNativeSchema || n.Schema > maxNativeSchema:
		return fmt.Errorf("its native schema is %d, from %d to %d are possible", n.Schema, minNativeSchema, maxNativeSchema)
	case n.MaxBuckets < 1 || n.MaxBuckets > maxNativeBuckets:
		return fmt.Errorf("it has up to %d native buckets, from 1 to %d are possible", n.MaxBuckets, maxNativeBuckets)
	case math.Signbit(n.ZeroThreshold) || !(n.ZeroThreshold <= math.MaxFloat64): // nor is NaN
		return errors.New("its zero threshold must be finite and not negative")
	case n.MaxExemplars < 0 || n.MaxExemplars > maxNativeExemplars:
		return fmt.Errorf("it has up to %d native exemplars, from 0 to %d are possible", n.MaxExemplars, maxNativeExemplars)
	}
	return nil
}

// equal reports whether two declarations, of which any may be nil, are the same.
func (n *NativeSchema) equal(o *NativeSchema) bool {
	if n == nil || o == nil {
		return n == o
	}
	return *n == *o
}

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
