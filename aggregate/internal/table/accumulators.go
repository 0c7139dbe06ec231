package table

import (
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/metric"
)

// accumulators have values of a family that are not in its totals, in columns by the number
// of the row. Each scrape fills them: with picks, with what files of client_python have, and
// with what totals cannot hold. If the totals have everything, they are empty.
type accumulators struct {
	picks  []sum.Pick
	sums   []sums
	stride int                 // buckets of each series
	counts []uint64            // observations per bucket
	more   map[int32][]float64 // parts of exact sums after the second, which hardly any has

	parts [8]float64 // of the exact sum that is taken out
}

// used reports whether the accumulators have anything. Then settle adds the totals to them,
// and they have all values of the family.
func (c *accumulators) used() bool { return len(c.picks) > 0 }

// sums is what a sum.Accumulator has beside its pick and its counts.
type sums struct {
	first, second float64 // parts of its exact sum
	special       float64
	hi, ints      uint64
	odd, more     bool
}

// pick returns the pick of a row. The pointer is valid until a row is added.
func (f *family) pick(n int32) *sum.Pick {
	f.acc.picks = long(f.acc.picks, len(f.symbol))
	return &f.acc.picks[n]
}

// sums returns the accumulator of a row of sums, valid until the next call. Its counts are
// those of the column. All else is a copy, which keep puts back.
func (f *family) sums(n int32) sum.Accumulator {
	c := &f.acc
	a := sum.Accumulator{Pick: *f.pick(n)}
	c.sums = long(c.sums, len(f.symbol))
	s := &c.sums[n]
	a.Hi, a.Ints = s.hi, s.ints
	a.Sum = sum.Exact{First: s.first, Rest: c.parts[:0], Odd: s.odd, Special: s.special}
	if s.second != 0 {
		a.Sum.Rest = append(a.Sum.Rest, s.second)
	}
	if s.more {
		a.Sum.Rest = append(a.Sum.Rest, c.more[n]...)
	}
	if f.schema.Type == metric.Histogram && f.native == nil {
		c.stride = len(f.bounds) + 1
		c.counts = long(c.counts, c.stride*len(f.symbol))
		a.Counts = c.counts[int(n)*c.stride:][:c.stride]
	}
	return a
}

// keep puts the accumulator of a row back.
func (f *family) keep(n int32, a *sum.Accumulator) {
	c, rest := &f.acc, a.Sum.Rest
	c.picks[n] = a.Pick
	s := sums{first: a.Sum.First, special: a.Sum.Special, odd: a.Sum.Odd, hi: a.Hi, ints: a.Ints}
	if len(rest) > 0 {
		s.second = rest[0]
	}
	if s.more = len(rest) > 1; s.more {
		if c.more == nil {
			c.more = map[int32][]float64{}
		}
		c.more[n] = append(c.more[n][:0], rest[1:]...)
	}
	c.sums[n] = s
}

// reset empties the accumulators.
func (c *accumulators) reset() { c.picks, c.sums, c.counts = c.picks[:0], c.sums[:0], c.counts[:0] }

// spill adds what totals cannot hold: hi times 2^64 of whole increments, and a sum.
func (f *family) spill(n int, hi uint64, sum *sum.Exact) {
	a := f.sums(int32(n))
	a.Hi += hi
	a.Sum.Join(sum)
	f.keep(int32(n), &a)
}

// long returns the column with at least n entries.
func long[T any](column []T, n int) []T {
	if len(column) >= n {
		return column
	}
	return append(column, make([]T, n-len(column))...)
}
