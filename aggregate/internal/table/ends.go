package table

import (
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
)

// endLives decides for every series that somebody has removed which of its parts count.
func (t *Table) endLives(files []*snapshot.File, listed int64) {
	if t.livesKnown {
		return
	}
	t.livesKnown = true
	of := map[*family]map[int32]*sum.Removals{}
	for _, f := range files {
		t.part(f).removed.each(func(s row, series int) {
			if of[s.family] == nil {
				of[s.family] = map[int32]*sum.Removals{}
			}
			l := of[s.family][s.number]
			if l == nil {
				l = sum.NewRemovals()
				of[s.family][s.number] = l
			}
			if !l.Add(f.Removed.CreatedNanos(series), f.Removed.RemovedNanos(series), listed) {
				t.livesKnown = false
			}
		})
	}
	for _, f := range files {
		if f.Live && len(of) > 0 {
			t.eachPart(f, func(fam *family) bool { return of[fam] != nil }, func(s row, created int64) {
				if l := of[s.family][s.number]; l != nil {
					l.Living = min(l.Living, created)
				}
			})
		}
	}
	for _, fam := range t.byName {
		var ends []int64
		for n, l := range of[fam] {
			end := l.Since()
			if end == sum.Always {
				continue
			}
			for int(n) >= len(ends) {
				ends = append(ends, sum.Always)
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
func (t *Table) eachPart(f *snapshot.File, wanted func(*family) bool, fn func(s row, created int64)) {
	if f.Python != nil {
		t.python[f.Python.Keys()].each(f, t.part(f), func(s row) { fn(s, 0) })
		return
	}
	p := &t.part(f).series
	for k := range p.all {
		s := &p.all[k]
		for i := 0; i < int(s.n) && wanted(s.to.family); i++ {
			fn(row{s.to.family, p.row(s, i)}, f.Series.CreatedNanos(int(s.series)+i))
		}
	}
}
