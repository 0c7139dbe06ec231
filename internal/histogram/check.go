package histogram

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/multiprom/multiprom/metric"
)

// All yields the buckets of spans with their numbers, the empty ones too.
func All(spans []metric.Span) iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		i := 0
		for _, s := range spans {
			i += s.Offset
			for _, n := range s.Counts {
				if !yield(i, n) {
					return
				}
				i++
			}
		}
	}
}

// Check returns an error if h cannot be what a series with that count and sum has. Servers
// check it too, and reject a whole scrape.
func Check(h *metric.NativeHistogram, count uint64, sum float64) error {
	switch {
	case h.Schema < MinSchema || h.Schema > MaxSchema:
		return fmt.Errorf("schema %d is not between %d and %d", h.Schema, MinSchema, MaxSchema)
	case !(h.ZeroThreshold >= 0 && h.ZeroThreshold <= math.MaxFloat64): // NaN is neither
		return fmt.Errorf("the zero threshold %v must be finite and not negative", h.ZeroThreshold)
	}
	total := h.ZeroCount
	for _, spans := range [][]metric.Span{h.Positive, h.Negative} {
		n, err := checkSpans(h.Schema, spans)
		if err != nil {
			return err
		}
		var ok bool
		if total, ok = add(total, n); !ok {
			return errCounts
		}
	}
	// Observations of NaN are in no bucket, and make the sum NaN.
	if total > count || total < count && !math.IsNaN(sum) {
		return fmt.Errorf("its count is %d, but %d in its native buckets", count, total)
	}
	return nil
}

var errCounts = errors.New("its native buckets have more than 2^63-1 observations")

// add adds counts. ok is false if the sum is above 2^63-1: servers read it as a signed number.
func add(a, b uint64) (sum uint64, ok bool) {
	return a + b, a <= math.MaxInt64 && b <= math.MaxInt64 && a+b <= math.MaxInt64
}

// impossible is what counts come to that are above 2^63-1 together. It stays above that if counts
// that processes can have are added to it, however they are added.
const impossible = 1 << 63

// plus is add, of which the result says that it is impossible.
func plus(a, b uint64) uint64 {
	if sum, ok := add(a, b); ok {
		return sum
	}
	return impossible
}

func checkSpans(schema int, spans []metric.Span) (total uint64, err error) {
	first, last := Range(schema)
	next := int64(0)
	for i, s := range spans {
		switch {
		case i > 0 && s.Offset < 0:
			return 0, fmt.Errorf("span %d begins before the end of the one before it", i)
		case s.Offset < math.MinInt32 || s.Offset > math.MaxInt32:
			return 0, fmt.Errorf("the offset of span %d is %d", i, s.Offset)
		}
		from := next + int64(s.Offset)
		next = from + int64(len(s.Counts))
		if len(s.Counts) > 0 && (from < int64(first) || next-1 > int64(last)) {
			return 0, fmt.Errorf("span %d has buckets %d to %d: with schema %d there are %d to %d", i, from, next-1, schema, first, last)
		}
		for _, n := range s.Counts {
			var ok bool
			if total, ok = add(total, n); !ok {
				return 0, errCounts
			}
		}
	}
	return total, nil
}

// Range returns the first and the last bucket of a schema that a value can be in.
func Range(schema int) (first, last int32) {
	b := Of(schema)
	return b.Index(math.SmallestNonzeroFloat64), b.Index(math.Inf(1))
}
