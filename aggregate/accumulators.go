package aggregate

import "github.com/multiprom/multiprom/metric"

// accumulators are those of a family, in columns by the number of the slot. They are
// empty where dense has always had all that there is.
type accumulators struct {
	chosen []chosen
	sums   []sums
	stride int                 // buckets of each series
	counts []uint64            // observations per bucket
	more   map[int32][]float64 // parts of exact sums behind the second, which hardly any has

	parts [8]float64 // of the exact sum that is taken out
}

// sums is what an accumulator has beside what is chosen and its counts.
type sums struct {
	first, second float64 // parts of its exact sum
	special       float64
	hi, ints      uint64
	odd, more     bool
}

// chosen returns what is chosen of a series, which is valid while none is added.
func (f *family) chosen(n int32) *chosen {
	f.acc.chosen = long(f.acc.chosen, len(f.symbol))
	return &f.acc.chosen[n]
}

// sums takes out the accumulator of a series of sums: until the next one is taken. Its
// counts are those of the column; of all else it is a copy, which keep puts back.
func (f *family) sums(n int32) accumulator {
	c := &f.acc
	a := accumulator{chosen: *f.chosen(n)}
	c.sums = long(c.sums, len(f.symbol))
	s := &c.sums[n]
	a.hi, a.ints = s.hi, s.ints
	a.sum = exactSum{first: s.first, rest: c.parts[:0], odd: s.odd, special: s.special}
	if s.second != 0 {
		a.sum.rest = append(a.sum.rest, s.second)
	}
	if s.more {
		a.sum.rest = append(a.sum.rest, c.more[n]...)
	}
	if f.schema.Type == metric.Histogram {
		c.stride = len(f.bounds) + 1
		c.counts = long(c.counts, c.stride*len(f.symbol))
		a.counts = c.counts[int(n)*c.stride:][:c.stride]
	}
	return a
}

// keep puts the accumulator of a series back.
func (f *family) keep(n int32, a *accumulator) {
	c, rest := &f.acc, a.sum.rest
	c.chosen[n] = a.chosen
	s := sums{first: a.sum.first, special: a.sum.special, odd: a.sum.odd, hi: a.hi, ints: a.ints}
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
func (c *accumulators) reset() {
	clear(c.chosen)
	clear(c.sums)
	clear(c.counts)
}

// add adds one process's words to a series.
func (f *family) add(n int32, schema *metric.Schema, w []uint64, bucket []int, created int64, from source) {
	f.settled = true
	if !summed(schema) {
		f.chosen(n).add(schema, w, created, from)
		return
	}
	a := f.sums(n)
	a.add(schema, w, bucket, created, from)
	f.keep(n, &a)
}

// join adds what other processes add up to.
func (f *family) join(n int32, schema *metric.Schema, o *accumulator, bucket []int, now int64) {
	f.settled = true
	if !summed(schema) {
		f.chosen(n).join(schema, o, now)
		return
	}
	a := f.sums(n)
	a.join(schema, o, bucket, now)
	f.keep(n, &a)
}

// spill adds what dense has no room for: whole increments of 2^64, or a float.
func (f *family) spill(n int, hi uint64, v float64) {
	f.spilled, f.settled = true, true
	a := f.sums(int32(n))
	a.hi += hi
	a.sum.add(v)
	f.keep(int32(n), &a)
}

// long returns a column with that many places or more.
func long[T any](column []T, n int) []T {
	if len(column) >= n {
		return column
	}
	return append(column, make([]T, n-len(column))...)
}
