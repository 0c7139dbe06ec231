package aggregate

import (
	"slices"
)

// endLives decides for every series that somebody has removed which of its parts count.
func (t *table) endLives(files []*file, listed int64) {
	if t.livesKnown {
		return
	}
	t.livesKnown = true
	of := map[*family]map[int32]*removals{}
	for _, f := range files {
		t.part(f).removed.each(func(s row, series int) {
			if of[s.family] == nil {
				of[s.family] = map[int32]*removals{}
			}
			l := of[s.family][s.number]
			if l == nil {
				l = newRemovals()
				of[s.family][s.number] = l
			}
			if !l.add(f.removed.CreatedNanos(series), f.removed.RemovedNanos(series), listed) {
				t.livesKnown = false
			}
		})
	}
	for _, f := range files {
		if f.live && len(of) > 0 {
			t.eachPart(f, func(fam *family) bool { return of[fam] != nil }, func(s row, created int64) {
				if l := of[s.family][s.number]; l != nil {
					l.living = min(l.living, created)
				}
			})
		}
	}
	for _, fam := range t.byName {
		var ends []int64
		for n, l := range of[fam] {
			end := l.since()
			if end == always {
				continue
			}
			for int(n) >= len(ends) {
				ends = append(ends, always)
			}
			ends[n] = end
		}
		if !slices.Equal(ends, fam.ends) {
			fam.ends, fam.recompute, fam.shown.all = ends, true, true
		}
	}
}

// eachPart calls fn with every part that the process of a file has of the families that
// are wanted, and when it was made.
func (t *table) eachPart(f *file, wanted func(*family) bool, fn func(s row, created int64)) {
	if f.python != nil {
		t.python[f.python.Keys()].each(f, t.part(f), func(s row) { fn(s, 0) })
		return
	}
	p := &t.part(f).series
	for k := range p.all {
		s := &p.all[k]
		for i := 0; i < int(s.n) && wanted(s.to.family); i++ {
			fn(row{s.to.family, p.row(s, i)}, f.series.CreatedNanos(int(s.series)+i))
		}
	}
}
