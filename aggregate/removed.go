package aggregate

import "slices"

// removedPart is what a process has counted in a series that it has removed. While the
// series lives on, the part counts on (see lives), and stands in the sums as those of
// living processes do.
type removedPart struct {
	counted bool // it counts, and dense knows when it began
	added   bool // its values are in dense, while that holds
}

// movable reports whether the steps' values can be added to dense, and taken out again.
func (st *steps) movable() bool { return cumulative(st.schema) && st.bucket == nil }

// eachRemoved calls fn with every removed part of the file that is movable: number i of
// the steps.
func (f *file) eachRemoved(fn func(st *steps, i int, p *removedPart)) {
	for s := range f.removedSteps {
		st := &f.removedSteps[s]
		if !st.movable() {
			continue
		}
		for i := range st.numbers {
			fn(st, i, &f.removedParts[st.series+i])
		}
	}
}

// countsRemoved reports whether a removed part counts.
func (st *steps) countsRemoved(f *file, i int) bool {
	since := st.family.since(st.numbers[i])
	return f.removed.CreatedNanos(st.series+i) >= since && f.removed.RemovedNanos(st.series+i) > since
}

// countRemoved brings the removed parts in line with the lives of their series.
func (f *file) countRemoved() {
	f.eachRemoved(func(st *steps, i int, p *removedPart) {
		switch counts := st.countsRemoved(f, i); {
		case counts && !p.counted:
			p.counted = true
			st.family.begin(st.numbers[i], f.removed.CreatedNanos(st.series+i))
		case !counts:
			f.withdrawRemoved(st, i, p)
		}
	})
}

// withdrawRemoved takes a removed part out of the sums.
func (f *file) withdrawRemoved(st *steps, i int, p *removedPart) {
	p.takeOut(f, st, i)
	if p.counted {
		st.family.orphan(st.numbers[i], f.removed.CreatedNanos(st.series+i))
	}
	p.counted = false
}

// takeOut takes the values of a removed part out of dense.
func (p *removedPart) takeOut(f *file, st *steps, i int) {
	fam, n := st.family, int(st.numbers[i])
	if p.added && fam.holds() {
		fam.touch(n)
		if !fam.withdrawOne(n, st.of(f.removedValues, i)) {
			fam.dirty = true
		}
	}
	p.added = false
}

// takeRemoved takes over values of removed parts: who holds a removed series may update
// it. Those that have changed are added anew.
func (f *file) takeRemoved(values []uint64) {
	f.eachRemoved(func(st *steps, i int, p *removedPart) {
		if p.added && !slices.Equal(st.of(f.removedValues, i), st.of(values, i)) {
			p.takeOut(f, st, i)
		}
	})
	f.removedValues = values
}

// addRemoved adds the removed parts that count, as far as dense lacks them.
func (st *steps) addRemoved(f *file, from source) {
	fam := st.family
	switch {
	case !cumulative(st.schema):
		return
	case !st.movable():
		for i := range st.numbers {
			if st.countsRemoved(f, i) {
				st.addRemovedOne(f, i, from)
			}
		}
		return
	}
	for i, n := range st.numbers {
		p := &f.removedParts[st.series+i]
		switch {
		case !p.counted:
		case fam.ending:
			st.addRemovedOne(f, i, from) // the next merge fills dense anew
		case fam.anew || !p.added:
			one := run{family: fam, size: st.size, slot: int(n), n: 1}
			one.addAll(st.of(f.removedValues, i), from)
			if p.added = true; !fam.anew {
				fam.touch(int(n))
			}
		}
	}
}

// addRemovedOne adds a removed part to the accumulator of its series.
func (st *steps) addRemovedOne(f *file, i int, from source) {
	st.family.add(st.numbers[i], st.schema, st.of(f.removedValues, i), st.bucket, f.removed.CreatedNanos(st.series+i), from)
}
