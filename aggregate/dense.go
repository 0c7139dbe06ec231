package aggregate

import (
	"math"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// dense adds up the series of a family whose parts are plain sums, in columns. Workers
// register their series in much the same order, so that one stretch of a file's
// values goes to one stretch of these arrays: runs lead there, at the speed of
// memory. It lasts from one scrape to the next, as only values that have changed
// move its sums.
//
// Here stands only what was added without rounding or overflow. Where that is not
// all, the rest is spilled into the family's accumulators, for one scrape: the next one
// adds the family up anew.
type dense struct {
	created []int64 // when the first series of a run or of the archive began, never where there is none
	stride  int     // words of each
	words   []uint64
	hi, lo  []float64 // the sum of a series is that of both; empty before the first that is not 0
}

// never is the time at which a series begins that nobody has.
const never = math.MaxInt64

// Words of a gauge: how many processes have it, and how many have set it.
const (
	gaugeThere = iota
	gaugeSet
	gaugeWords
)

// denseWords returns how many words a series has in dense, and whether it can be
// there: whole increments of a counter; count of a summary; buckets of a histogram;
// gaugeWords.
func denseWords(s *metric.Schema) (n int, ok bool) {
	switch s.Type {
	case metric.Counter, metric.Summary:
		return 1, true
	case metric.Histogram:
		return len(s.Bounds) + 1, true
	case metric.Gauge, metric.Unknown:
		return gaugeWords, s.Mode.Base() == metric.ModeSum
	}
	return 0, false
}

// extend makes room for one series more.
func (d *dense) extend(stride int) {
	d.stride = stride
	d.created = append(d.created, never)
	d.words = append(d.words, make([]uint64, stride)...)
	if len(d.hi) > 0 {
		d.hi = append(d.hi, 0)
	}
	if len(d.lo) > 0 {
		d.lo = append(d.lo, 0)
	}
}

// clear forgets a series: its sum may be two parts that cancel each other out.
func (d *dense) clear(n int) {
	d.created[n] = never
	clear(d.of(n))
	if len(d.hi) > 0 {
		d.hi[n] = 0
	}
	if len(d.lo) > 0 {
		d.lo[n] = 0
	}
}

func (d *dense) reset() {
	clear(d.words)
	clear(d.hi)
	clear(d.lo)
}

// holds reports whether dense has what it should, so that its sums can be moved.
func (f *family) holds() bool { return !f.dirty && !f.spilled && !f.ending }

// begin notes when a part in dense began.
func (f *family) begin(n int32, created int64) {
	if created < f.dense.created[n] {
		f.dense.created[n] = created
		f.touch(int(n))
	}
}

// orphan notes that a part in dense has gone: if it was the eldest, findEldest looks for
// the next one.
func (f *family) orphan(n int32, created int64) {
	if created <= f.dense.created[n] {
		f.dense.created[n] = never
		f.orphans = true
		f.touch(int(n))
	}
}

// of returns the words of slot n.
func (d *dense) of(n int) []uint64 { return d.words[n*d.stride:][:d.stride] }

// sum returns the two parts of the sum of slot n.
func (d *dense) sum(n int) (hi, lo float64) {
	if len(d.hi) > 0 {
		hi = d.hi[n]
	}
	if len(d.lo) > 0 {
		lo = d.lo[n]
	}
	return hi, lo
}

// addInts adds whole increments of a counter.
func (f *family) addInts(n int, ints uint64) {
	words := f.dense.words
	if words[n] += ints; words[n] < ints {
		f.spill(n, 1, 0) // one more than a word holds
	}
}

// moveInts has now take the place of what a process had counted before. It reports
// false where the sum is more than a word holds.
func (d *dense) moveInts(n int, old, now uint64) bool {
	d.words[n] += now - old
	return d.words[n] >= now
}

// addSum adds v to the sum of slot n: exactly, in two parts, or where that does not
// do to its accumulator.
func (f *family) addSum(n int, v float64) {
	if !f.dense.addExact(n, v) {
		f.spill(n, 0, v)
	}
}

// addExact reports whether it could add v to the sum of slot n without rounding.
func (d *dense) addExact(n int, v float64) bool {
	if len(d.hi) == 0 {
		if v == 0 {
			return true
		}
		d.hi = make([]float64, len(d.created))
	}
	hi, err := twoSum(d.hi[n], v)
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
	lo, rest := twoSum(d.lo[n], err)
	if rest != 0 {
		return false
	}
	d.hi[n], d.lo[n] = hi, lo
	return true
}

// moveSum has now take the place of old in the sum of slot n. Where it reports false,
// the sum is none any more.
func (d *dense) moveSum(n int, old, now float64) bool {
	difference, rest := twoSum(now, -old)
	return d.addExact(n, difference) && (rest == 0 || d.addExact(n, rest))
}

// moveGauge is moveSum for the bits of a gauge, which may be unset.
func (d *dense) moveGauge(n int, old, now uint64) bool {
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

// join adds what dead processes have left in the archive. It reports false where
// the words of dense cannot be all of it.
func (d *dense) join(f *family, n int, a *accumulator) bool {
	if a.hi != 0 || a.sum.odd || f.schema.Mode.Live() {
		return false
	}
	words := d.of(n)
	switch f.schema.Type {
	case metric.Counter:
		f.addInts(n, a.ints)
	case metric.Summary:
		words[0] += a.ints
	case metric.Histogram:
		addWords(words, a.counts)
	case metric.Gauge, metric.Unknown:
		words[gaugeThere]++
		if a.set {
			words[gaugeSet]++
		}
	}
	for _, part := range a.sum.rest {
		f.addSum(n, part)
	}
	f.addSum(n, a.sum.first)
	return true
}

// leave takes out again what join has added. Where it reports false, the sums are none
// any more.
func (d *dense) leave(f *family, n int, a *accumulator) bool {
	words := d.of(n)
	switch f.schema.Type {
	case metric.Counter, metric.Summary:
		words[0] -= a.ints
	case metric.Histogram:
		for i, count := range a.counts {
			words[i] -= count
		}
	case metric.Gauge, metric.Unknown:
		words[gaugeThere]--
		if a.set {
			words[gaugeSet]--
		}
	}
	exact := d.addExact(n, -a.sum.first)
	for _, part := range a.sum.rest {
		exact = exact && d.addExact(n, -part)
	}
	return exact
}

// has reports whether some process has the series of slot n.
func (d *dense) has(f *family, n int) bool {
	if f.schema.Type.LikeGauge() && d.of(n)[gaugeThere] == 0 {
		return false // of live ones, none is of a living process
	}
	return d.created[n] != never
}

// fill writes the values of slot n, of a family that is not settled.
func (d *dense) fill(f *family, n int, out *metric.Series) {
	words := d.of(n)
	hi, lo := d.sum(n)
	sum := hi + lo // rounded once
	switch f.schema.Type {
	case metric.Counter:
		const exact = 1 << 53
		if out.Value = float64(words[0]) + sum; words[0] > exact || lo != 0 {
			a := accumulator{ints: words[0]}
			a.sum.add(lo)
			a.sum.add(hi)
			out.Value = a.counter()
		}
	case metric.Summary:
		out.Count, out.Sum = words[0], sum
	case metric.Histogram:
		metric.CumulateInto(out.Buckets, f.bounds, words)
		out.Count, out.Sum = out.Buckets[len(f.bounds)].Count, sum
	case metric.Gauge, metric.Unknown:
		out.Value = sum
		return
	}
	out.Created = createdTime(d.created[n])
}
