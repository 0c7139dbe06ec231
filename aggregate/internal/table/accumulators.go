package table

import (
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/metric"
)

// accumulators have values of a family that are not in its totals, in columns by the number
// of the row. Each scrape fills them: with picks, with what files of client_python have, and
// with what totals cannot hold. If the totals have everything, they are empty.
type accumulators struct {
	picks   []sum.Pick        // of a family of picks
	sums    []sum.Accumulator // of a family of sums
	spilled bool              // sums has something
}

// used reports whether the accumulators have anything. Then settle adds the totals to them,
// and they have all values of the family.
func (c *accumulators) used() bool { return len(c.picks) > 0 || c.spilled }

// pick returns the pick of a row. The pointer is valid until a row is added.
func (f *family) pick(n int32) *sum.Pick {
	if f.totals.stride > 0 {
		return &f.sums(n).Pick
	}
	f.acc.picks = long(f.acc.picks, len(f.symbol))
	return &f.acc.picks[n]
}

// sums returns the accumulator of a row of sums. The pointer is valid until a row is added.
func (f *family) sums(n int32) *sum.Accumulator {
	c := &f.acc
	c.sums, c.spilled = long(c.sums, len(f.symbol)), true
	a := &c.sums[n]
	if a.Counts == nil && f.schema.Type == metric.Histogram && f.native == nil {
		a.Counts = make([]uint64, len(f.bounds)+1)
	}
	return a
}

// reset empties the accumulators. The memory of sums is used again.
func (c *accumulators) reset() {
	c.picks = c.picks[:0]
	for i := range c.sums {
		if !c.spilled {
			break
		}
		a := &c.sums[i]
		clear(a.Counts)
		*a = sum.Accumulator{Counts: a.Counts, Sum: sum.Exact{Rest: a.Sum.Rest[:0]}}
	}
	c.spilled = false
}

// spill adds what totals cannot hold: hi times 2^64 of whole increments, and a sum.
func (f *family) spill(n int, hi uint64, sum *sum.Exact) {
	a := f.sums(int32(n))
	a.Hi += hi
	a.Sum.Join(sum)
}

// long returns the column with at least n entries.
func long[T any](column []T, n int) []T {
	if len(column) >= n {
		return column
	}
	return append(column, make([]T, n-len(column))...)
}
