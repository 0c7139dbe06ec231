package aggregate

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// run is consecutive series of a file that go to consecutive slots. Its family's
// dense has the values of those that were added, as the file's last good read has
// them: what a later read finds changed moves the sums by as much (take), and what goes
// is taken out of them (withdraw).
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

// each calls fn with every slot that the run leads to, and when the file's part of it
// began.
func (r *run) each(f *file, fn func(n int32, created int64)) {
	for i := range r.n {
		fn(int32(r.slot+i), f.series.CreatedNanos(r.series+i))
	}
}

// addRun plans series number i of the file, whose values begin at at, as part of a
// run. It reports false where it has to be a step.
func (f *file) addRun(to slot, schema *metric.Schema, i, at int) bool {
	fam := to.family
	if _, ok := denseWords(schema); !ok || !slices.Equal(schema.Bounds, fam.bounds) {
		return false
	}
	fam.refs[to.number]++
	fam.begin(to.number, f.series.CreatedNanos(i))
	if n := len(f.runs); n > 0 {
		r := &f.runs[n-1]
		if r.family == fam && r.series+r.n == i && r.slot+r.n == int(to.number) {
			r.n++
			return true
		}
	}
	f.runs = append(f.runs, run{family: fam, series: i, at: at, size: mpm.ValuesPerSeries(schema), slot: int(to.number), n: 1})
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
	rest.addAll(f.values[rest.at:rest.end()], from)
	if !r.family.anew {
		for i := range rest.n {
			r.family.touch(rest.slot + i)
		}
	}
}

// addAll adds values of the run's series.
func (r *run) addAll(values []uint64, from source) {
	schema := r.family.schema
	switch schema.Type {
	case metric.Counter:
		r.counters(values)
	case metric.Summary:
		r.summaries(values)
	case metric.Histogram:
		r.histograms(values)
	case metric.Gauge, metric.Unknown:
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
			ints, frac := values[2*i+mpm.CellCounterInts], values[2*i+mpm.CellCounterFloat]
			r.family.addInts(r.slot+i, ints)
			if frac != 0 {
				r.family.addSum(r.slot+i, fraction(frac))
			}
			i++
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
		words[i] += values[2*i+mpm.CellSummaryCount]
		r.family.addSum(r.slot+i, math.Float64frombits(values[2*i+mpm.CellSummarySum]))
	}
}

func (r *run) histograms(values []uint64) {
	d := &r.family.dense
	for i := range r.n {
		one := values[i*r.size:][:r.size]
		addWords(d.of(r.slot+i), one[mpm.CellHistogramBuckets:])
		r.family.addSum(r.slot+i, math.Float64frombits(one[mpm.CellHistogramSum]))
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
		if bits != mpm.UnsetBits {
			words[gaugeSet]++
			r.family.addSum(r.slot+i, math.Float64frombits(bits))
		}
	}
}

// addEach adds the run series by series, since parts of some do not count.
func (r *run) addEach(f *file, from source) {
	schema := f.series.Schema(r.series)
	r.each(f, func(n int32, created int64) {
		if created >= r.family.since(n) {
			r.family.add(n, schema, f.values[r.at+(int(n)-r.slot)*r.size:][:r.size], nil, created, from)
		}
	})
}

// withdraw takes the values of the file's runs and removed parts out of the sums, while
// f has the series and values that they were planned for.
func (f *file) withdraw() {
	if f.withdrawn {
		return
	}
	f.withdrawn = true
	for i := range f.runs {
		r := &f.runs[i]
		r.withdraw(f)
		r.each(f, r.family.orphan)
	}
	f.eachRemoved(f.withdrawRemoved)
}

// isIn reports whether the file's values are in sums that can be moved.
func (r *run) isIn(f *file) bool {
	return r.added > 0 && r.family.holds() && (!r.family.schema.Mode.Live() || f.counted)
}

// withdraw takes the run's values out of the sums.
func (r *run) withdraw(f *file) {
	if r.isIn(f) {
		for i := range r.added {
			r.family.touch(r.slot + i)
			if !r.family.withdrawOne(r.slot+i, f.values[r.at+i*r.size:][:r.size]) {
				r.family.dirty = true
				break
			}
		}
	}
	r.added = 0
}

// withdrawOne takes the values of one series out of slot n. Where it reports false, the
// sums are none any more.
func (f *family) withdrawOne(n int, values []uint64) (exact bool) {
	d := &f.dense
	words := d.of(n)
	switch f.schema.Type {
	case metric.Counter:
		words[0] -= values[mpm.CellCounterInts]
		return d.moveSum(n, fraction(values[mpm.CellCounterFloat]), 0)
	case metric.Summary:
		words[0] -= values[mpm.CellSummaryCount]
		return d.moveSum(n, math.Float64frombits(values[mpm.CellSummarySum]), 0)
	case metric.Histogram:
		for i, count := range values[mpm.CellHistogramBuckets:] {
			words[i] -= count
		}
		return d.moveSum(n, math.Float64frombits(values[mpm.CellHistogramSum]), 0)
	}
	exact = d.moveGauge(n, values[mpm.CellGauge], mpm.UnsetBits)
	if words[gaugeThere]--; words[gaugeThere] == 0 {
		f.shown.all = true // no longer shown
	}
	return exact
}

// recountLive has the file take part in the sums of live gauges where its process lives,
// and only there.
func (f *file) recountLive() {
	for i := range f.runs {
		if r := &f.runs[i]; r.family.schema.Mode.Live() {
			r.withdraw(f)
		}
	}
	f.counted = f.live
}

// take takes over values that have changed, in the order of their places, and moves
// the sums that they are in.
func (f *file) take(changes []mpm.Change) {
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
func (r *run) take(f *file, changes []mpm.Change) []mpm.Change {
	fam, d := r.family, &r.family.dense
	end, typ := r.end(), fam.schema.Type
	summed := r.isIn(f)
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
		case typ == metric.Counter && column == mpm.CellCounterInts:
			exact = d.moveInts(n, old, now)
		case typ == metric.Counter:
			exact = d.moveSum(n, fraction(old), fraction(now))
		case typ == metric.Summary && column == mpm.CellSummaryCount:
			d.words[n] += now - old
		case typ == metric.Histogram && column >= mpm.CellHistogramBuckets:
			d.words[n*d.stride+column-mpm.CellHistogramBuckets] += now - old
		case typ.LikeGauge():
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

// placeOf returns where the series of that number goes.
func (f *file) placeOf(series int) slot {
	i, found := slices.BinarySearchFunc(f.runs, series, func(r run, series int) int { return isWithin(series, r.series, r.n) })
	if found {
		r := &f.runs[i]
		return slot{r.family, int32(r.slot + series - r.series)}
	}
	i, found = slices.BinarySearchFunc(f.steps, series, func(st steps, series int) int { return isWithin(series, st.series, len(st.numbers)) })
	if found {
		st := &f.steps[i]
		return slot{st.family, st.numbers[series-st.series]}
	}
	return slot{}
}

// isWithin compares n series from first on with one, for a search.
func isWithin(series, first, n int) int {
	switch {
	case first > series:
		return 1
	case first+n <= series:
		return -1
	}
	return 0
}
