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
// memory. Here stands only what was added without rounding or overflow; the rest
// goes to the slots' accumulators at once, and all of it in the end (settle).
type dense struct {
	slots   []*slot // by number; nil where one was dropped
	free    []int   // the numbers of those
	created []int64 // when the first series of a run began, never where there is none
	stride  int     // words of each
	words   []uint64
	hi, lo  []float64 // the sum of a series is that of both

	dated bool // the view has what created says
}

// never is the time at which a series begins that nobody has.
const never = math.MaxInt64

// run is consecutive series of a file that go to consecutive slots.
type run struct {
	family *family
	series int // number of the first in the file
	at     int // of its values
	slot   int // its number in the family
	n      int
}

// denseWords returns how many words a series has in dense, and whether it can be
// there: whole increments of a counter; count of a summary; buckets of a histogram;
// of a gauge how many processes have it and how many have set it.
func denseWords(s *metric.Schema) (n int, ok bool) {
	switch s.Type {
	case metric.Counter, metric.Summary:
		return 1, true
	case metric.Histogram:
		return len(s.Bounds) + 1, true
	case metric.Gauge:
		return 2, s.Mode.Base() == metric.ModeSum
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
	s.number = len(d.slots)
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

// addRun plans series number i of the file, whose values begin at at, as part of a
// run. It reports false where it has to be a step.
func (f *file) addRun(fam *family, s *slot, i, at int) bool {
	schema := f.series[i].Family
	if _, ok := denseWords(schema); !ok || !slices.Equal(schema.Bounds, fam.bounds) {
		return false
	}
	s.refs++
	fam.dense.begin(s, f.series[i].CreatedNanos())
	if n := len(f.runs); n > 0 {
		r := &f.runs[n-1]
		if r.family == fam && r.series+r.n == i && r.slot+r.n == s.number {
			r.n++
			return true
		}
	}
	f.runs = append(f.runs, run{family: fam, series: i, at: at, slot: s.number, n: 1})
	return true
}

func (d *dense) begin(s *slot, created int64) {
	if created < d.created[s.number] {
		d.created[s.number], d.dated = created, false
	}
}

// add adds a run's values.
func (r *run) add(f *file, from source) {
	if r.family.ending {
		r.addEach(f, from)
		return
	}
	schema := f.series[r.series].Family
	size := mmapstore.ValuesPerSeries(schema)
	values := f.values[r.at:][:r.n*size]
	switch schema.Type {
	case metric.Counter:
		r.counters(values)
	case metric.Summary:
		r.summaries(values)
	case metric.Histogram:
		r.histograms(values, size)
	case metric.Gauge:
		if !schema.Mode.Live() || from.live {
			r.gauges(values)
		}
	}
}

func (r *run) counters(values []uint64) {
	d := &r.family.dense
	words := d.words[r.slot:][:r.n]
	for i := 0; i < len(words); {
		n := addWhole(words[i:], values[2*i:])
		i += n
		if n == 0 {
			r.counter(i, values[2*i:])
			i++
		}
	}
}

// addWhole adds counters whose increments were whole, four at a time, and returns
// how many it has added: up to the first four that are more than that.
func addWhole(words, values []uint64) (n int) {
	const ints, frac = mmapstore.CellCounterInts, mmapstore.CellCounterFloat
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

// counter adds counter number i of the run.
func (r *run) counter(i int, values []uint64) {
	d := &r.family.dense
	ints, frac := values[mmapstore.CellCounterInts], values[mmapstore.CellCounterFloat]
	word := &d.words[r.slot+i]
	if *word += ints; *word < ints {
		d.slots[r.slot+i].sums().hi++ // one more than a word holds
		r.family.settled = true
	}
	if v := math.Float64frombits(frac); frac != 0 && v-v == 0 { // see accumulator.add
		d.addSum(r.slot+i, v)
	}
}

func (r *run) summaries(values []uint64) {
	d := &r.family.dense
	words := d.words[r.slot:][:r.n]
	for i := range words {
		words[i] += values[2*i+mmapstore.CellSummaryCount]
		d.addSum(r.slot+i, math.Float64frombits(values[2*i+mmapstore.CellSummarySum]))
	}
}

func (r *run) histograms(values []uint64, size int) {
	d := &r.family.dense
	for i := range r.n {
		one := values[i*size:][:size]
		counts := one[mmapstore.CellHistogramBuckets:]
		words := d.words[(r.slot+i)*d.stride:][:len(counts)]
		addWords(words, counts)
		d.addSum(r.slot+i, math.Float64frombits(one[mmapstore.CellHistogramSum]))
	}
}

// addWords adds words of the same number.
func addWords(to, from []uint64) {
	for len(to) >= 4 && len(from) >= 4 {
		a, b := (*[4]uint64)(to), (*[4]uint64)(from)
		a[0] += b[0]
		a[1] += b[1]
		a[2] += b[2]
		a[3] += b[3]
		to, from = to[4:], from[4:]
	}
	for i := range from {
		to[i] += from[i]
	}
}

func (r *run) gauges(values []uint64) {
	d := &r.family.dense
	for i, bits := range values {
		words := d.words[2*(r.slot+i):][:2]
		words[0]++
		if bits != mmapstore.UnsetBits {
			words[1]++
			d.addSum(r.slot+i, math.Float64frombits(bits))
		}
	}
}

// addSum adds v to the sum of slot n: exactly, in two parts, or where that does not
// do to the slot itself.
func (d *dense) addSum(n int, v float64) {
	hi, err := twoSum(d.hi[n], v)
	if err == 0 {
		d.hi[n] = hi
		return
	}
	lo, rest := twoSum(d.lo[n], err)
	if rest != 0 { // NaN too
		d.slots[n].family.settled = true
		d.slots[n].sums().sum.add(v)
		return
	}
	d.hi[n], d.lo[n] = hi, lo
}

// addEach adds the run series by series, since parts of some do not count.
func (r *run) addEach(f *file, from source) {
	schema := f.series[r.series].Family
	size := mmapstore.ValuesPerSeries(schema)
	for i := range r.n {
		s, created := r.family.dense.slots[r.slot+i], f.series[r.series+i].CreatedNanos()
		if created >= s.since {
			s.sums().add(schema, f.values[r.at+i*size:][:size], nil, created, from)
		}
	}
}

// settle gives the slots what the runs have added up to, where they have more.
func (f *family) settle() {
	d := &f.dense
	if f.ending || !f.settled {
		return // all of it is there already, or nothing
	}
	for n, s := range d.slots {
		if s == nil || d.created[n] == never {
			continue
		}
		a, words := s.sums(), d.words[n*d.stride:][:d.stride]
		switch f.schema.Type {
		case metric.Counter:
			a.addInts(0, words[0])
		case metric.Summary:
			a.ints += words[0]
		case metric.Histogram:
			a.addCounts(words, nil)
		case metric.Gauge:
			if words[0] == 0 {
				continue // of live ones, none is of a living process
			}
			a.set = a.set || words[1] > 0
		}
		a.enter(d.created[n])
		a.sum.add(d.lo[n])
		a.sum.add(d.hi[n])
	}
}

// has reports whether some process has the series of slot n.
func (d *dense) has(f *family, n int) bool {
	if f.schema.Type == metric.Gauge && d.words[2*n] == 0 {
		return false // of live ones, none is of a living process
	}
	return d.created[n] != never
}

// fill writes the values of slot n, of a family that is not settled. dated says
// that out has its created time and its bounds already.
func (d *dense) fill(f *family, n int, out *metric.Series, dated bool) {
	words := d.words[n*d.stride:][:d.stride]
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
		if !dated {
			metric.CumulateInto(out.Buckets, f.bounds, words)
		}
		var count uint64
		for i, n := range words {
			count += n
			out.Buckets[i].Count = count
		}
		out.Count, out.Sum = count, sum
	case metric.Gauge:
		out.Value = sum
		return
	}
	if !dated {
		out.Created = createdTime(d.created[n])
	}
}

// slotOf returns where the series of that number goes, nil for nowhere.
func (f *file) slotOf(series int) *slot {
	i, found := slices.BinarySearchFunc(f.runs, series, func(r run, series int) int {
		switch {
		case r.series > series:
			return 1
		case r.series+r.n <= series:
			return -1
		}
		return 0
	})
	if found {
		r := &f.runs[i]
		return r.family.dense.slots[r.slot+series-r.series]
	}
	i, found = slices.BinarySearchFunc(f.steps, series, func(s step, series int) int { return s.series - series })
	if found {
		return f.steps[i].slot
	}
	return nil
}

// eachInRuns calls fn with every slot that a run of the file leads to, and when its
// series began.
func (f *file) eachInRuns(fn func(s *slot, created int64)) {
	for i := range f.runs {
		r := &f.runs[i]
		for j := range r.n {
			fn(r.family.dense.slots[r.slot+j], f.series[r.series+j].CreatedNanos())
		}
	}
}
