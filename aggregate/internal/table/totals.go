package table

import (
	"math"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// totals are the sums of the rows of a family, in columns, if the family's series are sums.
// Workers make their series in much the same order, so one stretch of a file's values is
// added to one stretch of these arrays, at the speed of memory. They last from one scrape to
// the next: a value that has changed moves its total by the difference.
//
// While the family is not marked recompute, they are the sum of all its parts. They hold
// only what was added without rounding or overflow. The rest is spilled into the family's
// accumulators, for one scrape, and the family stays marked.
type totals struct {
	stride  int     // words of each; 0 if the family's series are no sums
	created []int64 // when the first part of a row began; never if it has none
	words   []uint64
	hi, lo  []float64 // the sum of a row is hi + lo; each is empty before its first value that is not 0
}

// never is the created time of a row without a part.
const never = math.MaxInt64

// Words of a gauge: how many processes have it, and how many have set it.
const (
	gaugeThere = iota
	gaugeSet
	gaugeWords
)

// totalsWords returns how many words a row has in totals: the whole increments of a counter,
// the count of a summary, the buckets of a histogram, those of nativeZero and on, or gaugeWords. It is 0 if the series
// are no sums.
func totalsWords(s *metric.Schema, bounds []float64) int {
	switch {
	case !sum.Summed(s):
		return 0
	case sum.IsNative(s):
		return nativeClassic + len(bounds)
	case s.Type == metric.Histogram:
		return len(bounds) + 1
	case sum.Cumulative(s):
		return 1
	}
	return gaugeWords
}

// totalsColumns returns, for each value of a series of that schema, the word of totals to
// which it is added, or -1. bucket is as in target.
func totalsColumns(s *metric.Schema, bucket []int) []int {
	out := make([]int, mpm.ValuesPerSeries(s))
	for i := range out {
		out[i] = -1
	}
	switch s.Type {
	case metric.Counter:
		out[mpm.CellCounterInts] = 0
	case metric.Summary:
		out[mpm.CellSummaryCount] = 0
	case metric.Histogram:
		from, first := mpm.CellHistogramBuckets, 0
		if sum.IsNative(s) {
			out[histogram.CellZero], out[histogram.CellNaN] = nativeZero, nativeNaN
			from, first = mpm.CellNativeBuckets, nativeClassic
		}
		for i := range out[from:] {
			out[from+i] = first + i
			if bucket != nil {
				out[from+i] = first + bucket[i]
			}
		}
	}
	return out
}

// extend makes room for one more row.
func (d *totals) extend() {
	if d.stride == 0 {
		return
	}
	d.created = append(d.created, never)
	d.words = append(d.words, make([]uint64, d.stride)...)
	if len(d.hi) > 0 {
		d.hi = append(d.hi, 0)
	}
	if len(d.lo) > 0 {
		d.lo = append(d.lo, 0)
	}
}

// reset forgets all parts.
func (d *totals) reset() {
	for i := range d.created {
		d.created[i] = never
	}
	clear(d.words)
	clear(d.hi)
	clear(d.lo)
}

// begin notes when a part of row n began.
func (d *totals) begin(n int, created int64) { d.created[n] = min(d.created[n], created) }

// of returns the words of row n.
func (d *totals) of(n int) []uint64 { return d.words[n*d.stride:][:d.stride] }

// sum returns the two parts of the sum of row n.
func (d *totals) sum(n int) (hi, lo float64) {
	if len(d.hi) > 0 {
		hi = d.hi[n]
	}
	if len(d.lo) > 0 {
		lo = d.lo[n]
	}
	return hi, lo
}

// add adds one process's words to a row.
func (f *family) add(number int32, to *target, w []uint64, created int64, from sum.Source) {
	if f.totals.stride == 0 {
		f.pick(number).Add(to.schema, w, created, from)
		return
	}
	n := int(number)
	f.totals.begin(n, created)
	words := f.totals.of(n)
	switch to.schema.Type {
	case metric.Counter:
		f.addInts(n, w[mpm.CellCounterInts])
		if bits := w[mpm.CellCounterFloat]; bits != 0 {
			f.addSum(n, sum.Finite(bits))
		}
	case metric.Summary:
		words[0] += w[mpm.CellSummaryCount]
		f.addSum(n, math.Float64frombits(w[mpm.CellSummarySum]))
	case metric.Histogram:
		if f.native != nil {
			f.native.define(n, to.definitions)
			words[nativeZero] += w[histogram.CellZero]
			words[nativeNaN] += w[histogram.CellNaN]
			sum.AddCounts(words[nativeClassic:], w[mpm.CellNativeBuckets:], to.bucket)
		} else {
			sum.AddCounts(words, w[mpm.CellHistogramBuckets:], to.bucket)
		}
		f.addSum(n, math.Float64frombits(w[mpm.CellHistogramSum]))
	default:
		words[gaugeThere]++
		if bits := w[mpm.CellGauge]; bits != mpm.UnsetBits {
			words[gaugeSet]++
			f.addSum(n, math.Float64frombits(bits))
		}
	}
}

// addCounters adds counters to consecutive rows from first on.
func (f *family) addCounters(first, n int, values []uint64) {
	words := f.totals.words[first:][:n]
	for i := 0; i < n; {
		if whole := addWhole(words[i:], values[2*i:]); whole > 0 {
			i += whole
			continue
		}
		f.addInts(first+i, values[2*i+mpm.CellCounterInts])
		if bits := values[2*i+mpm.CellCounterFloat]; bits != 0 {
			f.addSum(first+i, sum.Finite(bits))
		}
		i++
	}
}

// addScattered adds counters to rows, of which some may be nowhere.
func (f *family) addScattered(rows []int32, created []int64, values []uint64) {
	begun, words := f.totals.created, f.totals.words
	for i, n := range rows {
		if n == nowhere {
			continue
		}
		begun[n] = min(begun[n], created[i])
		ints, frac := values[2*i+mpm.CellCounterInts], values[2*i+mpm.CellCounterFloat]
		if total := words[n] + ints; total >= ints && frac == 0 {
			words[n] = total
			continue
		}
		f.addInts(int(n), ints)
		if frac != 0 {
			f.addSum(int(n), sum.Finite(frac))
		}
	}
}

// addWhole adds counters whose increments were whole, four at a time, and returns
// how many it has added: up to the first four that are more than that.
func addWhole(words, values []uint64) (n int) {
	const ints, frac = mpm.CellCounterInts, mpm.CellCounterFloat
	for len(words) >= 4 && len(values) >= 8 {
		w, v := (*[4]uint64)(words), (*[8]uint64)(values)
		a, b, c, d := w[0]+v[ints], w[1]+v[2+ints], w[2]+v[4+ints], w[3]+v[6+ints]
		carry := (w[0]&v[ints] | (w[0]|v[ints])&^a) | (w[1]&v[2+ints] | (w[1]|v[2+ints])&^b) |
			(w[2]&v[4+ints] | (w[2]|v[4+ints])&^c) | (w[3]&v[6+ints] | (w[3]|v[6+ints])&^d)
		if v[frac]|v[2+frac]|v[4+frac]|v[6+frac]|carry>>63 != 0 {
			return n
		}
		w[0], w[1], w[2], w[3] = a, b, c, d
		words, values = words[4:], values[8:]
		n += 4
	}
	return n
}

// addInts adds whole increments of a counter.
func (f *family) addInts(n int, ints uint64) {
	words := f.totals.words
	if words[n] += ints; words[n] < ints {
		f.spill(n, 1, &sum.Exact{}) // the word has wrapped
	}
}

// addSum adds v to the sum of row n: exactly in hi and lo or, if they cannot hold it, in the
// row's accumulator.
func (f *family) addSum(n int, v float64) {
	if !f.totals.addExact(n, v) {
		var s sum.Exact
		s.Add(v)
		f.spill(n, 0, &s)
	}
}

// addExact reports whether it could add v to the sum of row n without rounding.
func (d *totals) addExact(n int, v float64) bool {
	if len(d.hi) == 0 {
		if v == 0 {
			return true
		}
		d.hi = make([]float64, len(d.created))
	}
	hi, err := sum.TwoSum(d.hi[n], v)
	if err == 0 {
		d.hi[n] = hi
		return true
	}
	if math.IsNaN(err) {
		return false
	}
	if len(d.lo) == 0 {
		d.lo = make([]float64, len(d.created))
	}
	lo, rest := sum.TwoSum(d.lo[n], err)
	if rest != 0 {
		return false
	}
	d.hi[n], d.lo[n] = hi, lo
	return true
}

// moveFloat replaces old, a float of a part of row n, by now. If it returns false, the totals
// do not hold any more.
func (d *totals) moveFloat(n int, schema *metric.Schema, old, now uint64) (exact bool) {
	switch {
	case schema.Type == metric.Counter:
		return d.moveSum(n, sum.Finite(old), sum.Finite(now))
	case schema.Type.LikeGauge():
		return d.moveGauge(n, old, now)
	}
	return d.moveSum(n, math.Float64frombits(old), math.Float64frombits(now))
}

// moveSum replaces old by now in the sum of row n.
func (d *totals) moveSum(n int, old, now float64) (exact bool) {
	difference, rest := sum.TwoSum(now, -old)
	return d.addExact(n, difference) && (rest == 0 || d.addExact(n, rest))
}

// moveGauge is moveSum for the bits of a gauge, which may be unset.
func (d *totals) moveGauge(n int, old, now uint64) (exact bool) {
	words := d.of(n)
	value := func(bits, set uint64) float64 {
		if bits == mpm.UnsetBits {
			return 0
		}
		words[gaugeSet] += set
		return math.Float64frombits(bits)
	}
	return d.moveSum(n, value(old, ^uint64(0)), value(now, 1))
}

// join adds what dead processes have left in the archive. bucket is as in target.
func (f *family) join(number int32, schema *metric.Schema, bucket []int, a *sum.Accumulator, now int64) {
	if f.totals.stride == 0 {
		f.pick(number).Join(schema, a, now)
		return
	}
	n := int(number)
	f.totals.begin(n, a.Created)
	words := f.totals.of(n)
	switch schema.Type {
	case metric.Counter:
		if f.addInts(n, a.Ints); a.Hi != 0 {
			f.spill(n, a.Hi, &sum.Exact{})
		}
	case metric.Summary:
		words[0] += a.Ints
	case metric.Histogram:
		if f.native != nil {
			words[nativeZero] += a.Native.Zero
			words[nativeNaN] += a.Native.NaN
			f.native.join(number, a.Native)
			words = words[nativeClassic:]
		}
		sum.AddCounts(words, a.Counts, bucket)
	default:
		words[gaugeThere]++
		if a.Set {
			words[gaugeSet]++
		}
	}
	for _, part := range a.Sum.Rest {
		f.addSum(n, part)
	}
	if f.addSum(n, a.Sum.First); a.Sum.Odd {
		f.spill(n, 0, &sum.Exact{Odd: true, Special: a.Sum.Special})
	}
}

// has reports whether some process has row n.
func (d *totals) has(f *family, n int) bool {
	if f.schema.Type.LikeGauge() && d.of(n)[gaugeThere] == 0 {
		return false // a live gauge, and no living process has it
	}
	return d.created[n] != never
}
