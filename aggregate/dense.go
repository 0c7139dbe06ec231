package aggregate

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// dense adds up the series of a family whose parts are plain sums. Workers
// register their series in much the same order, so that one stretch of a file's
// values goes to one stretch of these arrays: runs lead there, at the speed of
// memory. It lasts from one scrape to the next, as only values that have changed
// move its sums.
//
// Here stands only what was added without rounding or overflow. Where that is not
// all, the rest is spilled into the slots' accumulators, for one scrape: the next one
// adds the family up anew.
type dense struct {
	slots   []*slot // by number; nil where one was dropped
	free    []int32 // the numbers of those
	created []int64 // when the first series of a run or of the archive began, never where there is none
	stride  int     // words of each
	words   []uint64
	hi, lo  []float64 // the sum of a series is that of both
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
	case metric.Gauge:
		return gaugeWords, s.Mode.Base() == metric.ModeSum
	}
	return 0, false
}

// number gives a new slot its place.
func (d *dense) number(s *slot, stride int) {
	if n := len(d.free); n > 0 {
		s.number = d.free[n-1]
		d.free = d.free[:n-1]
		d.slots[s.number] = s
		return
	}
	s.number = int32(len(d.slots))
	d.stride = stride
	d.slots = append(d.slots, s)
	d.created = append(d.created, never)
	d.hi, d.lo = append(d.hi, 0), append(d.lo, 0)
	d.words = append(slices.Grow(d.words, stride), make([]uint64, stride)...)
}

func (d *dense) drop(s *slot) {
	d.slots[s.number] = nil
	d.free = append(d.free, s.number)
}

// sortFree has the lowest numbers given out first: those of series that come one
// behind the other make a run.
func (d *dense) sortFree() {
	slices.Sort(d.free)
	slices.Reverse(d.free)
}

func (d *dense) reset() {
	clear(d.words)
	clear(d.hi)
	clear(d.lo)
}

func (d *dense) begin(s *slot, created int64) {
	if created < d.created[s.number] {
		d.created[s.number] = created
		s.family.touch(int(s.number))
	}
}

// of returns the words of slot n.
func (d *dense) of(n int) []uint64 { return d.words[n*d.stride:][:d.stride] }

// spill returns the accumulator for what is not in dense of slot n.
func (d *dense) spill(n int) *accumulator {
	s := d.slots[n]
	s.family.spilled, s.family.settled = true, true
	return s.sums()
}

// addInts adds whole increments of a counter.
func (d *dense) addInts(n int, ints uint64) {
	if d.words[n] += ints; d.words[n] < ints {
		d.spill(n).hi++ // one more than a word holds
	}
}

// moveInts has now take the place of what a process had counted before. It reports
// false where the sum is more than a word holds.
func (d *dense) moveInts(n int, old, now uint64) bool {
	d.words[n] += now - old
	return d.words[n] >= now
}

// addSum adds v to the sum of slot n: exactly, in two parts, or where that does not
// do to the slot itself.
func (d *dense) addSum(n int, v float64) {
	if !d.addExact(n, v) {
		d.spill(n).sum.add(v)
	}
}

// addExact reports whether it could add v to the sum of slot n without rounding.
func (d *dense) addExact(n int, v float64) bool {
	hi, err := twoSum(d.hi[n], v)
	if err == 0 {
		d.hi[n] = hi
		return true
	}
	lo, rest := twoSum(d.lo[n], err)
	if rest != 0 { // NaN too
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
		if bits == mmapstore.UnsetBits {
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
		d.addInts(n, a.ints)
	case metric.Summary:
		words[0] += a.ints
	case metric.Histogram:
		addWords(words, a.counts)
	case metric.Gauge:
		words[gaugeThere]++
		if a.set {
			words[gaugeSet]++
		}
	}
	for _, part := range a.sum.rest {
		d.addSum(n, part)
	}
	d.addSum(n, a.sum.first)
	return true
}

// has reports whether some process has the series of slot n.
func (d *dense) has(f *family, n int) bool {
	if f.schema.Type == metric.Gauge && d.of(n)[gaugeThere] == 0 {
		return false // of live ones, none is of a living process
	}
	return d.created[n] != never
}

// fill writes the values of slot n, of a family that is not settled.
func (d *dense) fill(f *family, n int, out *metric.Series) {
	words := d.of(n)
	sum := d.hi[n] + d.lo[n] // rounded once
	switch f.schema.Type {
	case metric.Counter:
		const exact = 1 << 53
		if out.Value = float64(words[0]) + sum; words[0] > exact || d.lo[n] != 0 {
			a := accumulator{ints: words[0]}
			a.sum.add(d.lo[n])
			a.sum.add(d.hi[n])
			out.Value = a.counter()
		}
	case metric.Summary:
		out.Count, out.Sum = words[0], sum
	case metric.Histogram:
		metric.CumulateInto(out.Buckets, f.bounds, words)
		out.Count, out.Sum = out.Buckets[len(f.bounds)].Count, sum
	case metric.Gauge:
		out.Value = sum
		return
	}
	out.Created = createdTime(d.created[n])
}
