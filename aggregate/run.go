package aggregate

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// run is consecutive series of a file that go to consecutive slots. Its family's
// dense has the values of those that were added, as the file's last good read has
// them: what a later read finds changed moves the sums by as much (take), and only
// where the plan itself changes are all runs of a family added anew.
type run struct {
	family *family
	series int // number of the first in the file
	at     int // of its values
	size   int // values of each
	slot   int // its number in the family
	n      int
	added  int // how many of them are in the family's dense
}

// end returns where the values of the next series begin.
func (r *run) end() int { return r.at + r.n*r.size }

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
		if r.family == fam && r.series+r.n == i && r.slot+r.n == int(s.number) {
			r.n++
			return true
		}
	}
	f.runs = append(f.runs, run{family: fam, series: i, at: at, size: mmapstore.ValuesPerSeries(schema), slot: int(s.number), n: 1})
	return true
}

// add adds those of the run's values that its family lacks.
func (r *run) add(f *file, from source) {
	switch {
	case r.family.ending:
		r.added = r.n
		r.addEach(f, from)
		return
	case r.family.anew:
		r.added = 0
	case r.added == r.n:
		return
	}
	rest := run{
		family: r.family, series: r.series + r.added, at: r.at + r.added*r.size, size: r.size, slot: r.slot + r.added, n: r.n - r.added,
	}
	r.added = r.n
	rest.addAll(f, from)
	if !r.family.anew {
		for i := range rest.n {
			r.family.touch(rest.slot + i)
		}
	}
}

func (r *run) addAll(f *file, from source) {
	values := f.values[r.at:r.end()]
	schema := r.family.schema
	switch schema.Type {
	case metric.Counter:
		r.counters(values)
	case metric.Summary:
		r.summaries(values)
	case metric.Histogram:
		r.histograms(values)
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
			ints, frac := values[2*i+mmapstore.CellCounterInts], values[2*i+mmapstore.CellCounterFloat]
			d.addInts(r.slot+i, ints)
			if frac != 0 {
				d.addSum(r.slot+i, fraction(frac))
			}
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

// fraction returns what a counter's float word adds: nothing where it is no finite
// number, which no writer of ours makes.
func fraction(bits uint64) float64 {
	if v := math.Float64frombits(bits); v-v == 0 {
		return v
	}
	return 0
}

func (r *run) summaries(values []uint64) {
	d := &r.family.dense
	words := d.words[r.slot:][:r.n]
	for i := range words {
		words[i] += values[2*i+mmapstore.CellSummaryCount]
		d.addSum(r.slot+i, math.Float64frombits(values[2*i+mmapstore.CellSummarySum]))
	}
}

func (r *run) histograms(values []uint64) {
	d := &r.family.dense
	for i := range r.n {
		one := values[i*r.size:][:r.size]
		addWords(d.of(r.slot+i), one[mmapstore.CellHistogramBuckets:])
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
		words := d.of(r.slot + i)
		words[gaugeThere]++
		if bits != mmapstore.UnsetBits {
			words[gaugeSet]++
			d.addSum(r.slot+i, math.Float64frombits(bits))
		}
	}
}

// addEach adds the run series by series, since parts of some do not count.
func (r *run) addEach(f *file, from source) {
	schema := f.series[r.series].Family
	for i := range r.n {
		s, created := r.family.dense.slots[r.slot+i], f.series[r.series+i].CreatedNanos()
		if created >= s.since() {
			s.sums().add(schema, f.values[r.at+i*r.size:][:r.size], nil, created, from)
		}
	}
}

// take takes over values that have changed, in the order of their places, and moves
// the sums that they are in.
func (f *file) take(changes []mmapstore.Change) {
	for i := range f.runs {
		if len(changes) == 0 {
			return
		}
		r := &f.runs[i]
		if changes[0].At >= r.end() {
			continue
		}
		for len(changes) > 0 && changes[0].At < r.at { // of a step
			f.values[changes[0].At] = changes[0].Word
			changes = changes[1:]
		}
		changes = r.take(f, changes)
	}
	for _, c := range changes {
		f.values[c.At] = c.Word
	}
}

// take takes over those of the changes that are of the run, and returns the rest.
func (r *run) take(f *file, changes []mmapstore.Change) []mmapstore.Change {
	fam, d := r.family, &r.family.dense
	end, typ := r.end(), fam.schema.Type
	summed := !fam.dirty && !fam.spilled && !fam.ending && (!fam.schema.Mode.Live() || f.counted)
	for i := range changes {
		at, now := changes[i].At, changes[i].Word
		if at >= end {
			return changes[i:]
		}
		old := f.values[at]
		f.values[at] = now
		if !summed {
			continue
		}
		n, column := r.slot, (at - r.at)
		if typ == metric.Counter || typ == metric.Summary {
			n, column = n+column/2, column%2
		} else {
			n, column = n+int(uint32(column)/uint32(r.size)), int(uint32(column)%uint32(r.size))
		}
		exact := true
		switch {
		case typ == metric.Counter && column == mmapstore.CellCounterInts:
			exact = d.moveInts(n, old, now)
		case typ == metric.Counter:
			exact = d.moveSum(n, fraction(old), fraction(now))
		case typ == metric.Summary && column == mmapstore.CellSummaryCount:
			d.words[n] += now - old
		case typ == metric.Histogram && column >= mmapstore.CellHistogramBuckets:
			d.words[n*d.stride+column-mmapstore.CellHistogramBuckets] += now - old
		case typ == metric.Gauge:
			exact = d.moveGauge(n, old, now)
		default:
			exact = d.moveSum(n, math.Float64frombits(old), math.Float64frombits(now))
		}
		if !exact {
			fam.dirty, summed = true, false
			continue
		}
		fam.touch(n)
	}
	return nil
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
