package table

import (
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
)

// ends are when the last lives of a family's rows ended. Parts that were made before that
// do not count (sum.Removals). The end of a row is decided again only if one of its parts
// has come or gone, so a scrape looks only at rows in which something was removed or made.
type ends struct {
	at      []int64 // column, as far as some row has one
	some    int     // how many rows have an end
	removed int     // how many parts of the family's rows their processes have removed

	// retired is the latest time of removal of the family's retired parts (see retire).
	retired int64

	all       bool    // every row must be decided again
	undecided []int32 // rows that must be
	listed    []bool  // column, as far as needed: whether the row is in undecided

	expiry
}

// since returns when the last life of a row ended. Parts made before that do not count.
func (e *ends) since(n int32) int64 {
	if int(n) < len(e.at) {
		return e.at[n]
	}
	return sum.Always
}

// any reports whether one of the n rows from first on has an end.
func (e *ends) any(first, n int) bool {
	if e.some == 0 {
		return false
	}
	for _, end := range e.at[min(first, len(e.at)):min(first+n, len(e.at))] {
		if end != sum.Always {
			return true
		}
	}
	return false
}

// undecide notes that a part of a row has come or gone.
func (e *ends) undecide(n int32) {
	if e.removed == 0 && e.some == 0 && !e.expires() || e.all {
		return
	}
	if e.listed = long(e.listed, int(n)+1); !e.listed[n] {
		e.listed[n] = true
		e.undecided = append(e.undecided, n)
	}
}

// isUndecided reports whether a row must be decided again.
func (e *ends) isUndecided(n int32) bool {
	return e.all || int(n) < len(e.listed) && e.listed[n]
}

// set sets the end of a row, and reports whether that changed it.
func (e *ends) set(n int32, end int64) bool {
	old := e.since(n)
	if old == end {
		return false
	}
	for int(n) >= len(e.at) {
		e.at = append(e.at, sum.Always)
	}
	if e.at[n] = end; old == sum.Always {
		e.some++
	} else if end == sum.Always {
		e.some--
	}
	return true
}

// take returns the rows that must be decided, and forgets them. more has the rows with
// removed parts.
func (e *ends) take(more map[int32]*removals) (rows []int32) {
	rows = e.undecided
	if e.all {
		rows = nil
		for n := range more {
			rows = append(rows, n)
		}
		for n, end := range e.at {
			if end != sum.Always && more[int32(n)] == nil {
				rows = append(rows, int32(n))
			}
		}
	}
	for _, n := range e.undecided {
		e.listed[n] = false
	}
	e.all, e.undecided = false, nil
	return rows
}

// undecide has all ends decided again. That is needed if a process has begun or ended, and
// beside a file of client_python, whose series come and go without a sign.
func (t *Table) undecide() {
	for _, fam := range t.byName {
		fam.ends.all = true
	}
}

// removals are the removals of a row that is being decided, with their parts.
type removals struct {
	*sum.Removals
	parts []removedPart
}

type removedPart struct {
	of     *part
	series int
	when   int64
}

// endLives decides which parts count, for every row that some process has removed and of
// which a part has come or gone.
func (t *Table) endLives(files []*snapshot.File, listed int64) {
	of := map[*family]map[int32]*removals{}
	for _, fam := range t.byName {
		if e := &fam.ends; e.expires() {
			continue // see expire
		} else if e.removed == 0 && e.some == 0 {
			e.take(nil)
		} else if e.all || len(e.undecided) > 0 {
			of[fam] = map[int32]*removals{}
		}
	}
	if len(of) == 0 {
		return
	}
	python := slices.ContainsFunc(files, func(f *snapshot.File) bool { return f.Python != nil })
	again := map[row]bool{} // a later listing may say more
	for _, f := range files {
		part := t.part(f)
		p := &part.removed
		for k := range p.all {
			s := &p.all[k]
			fam := s.to.family
			if of[fam] == nil {
				continue
			}
			for i := range int(s.n) {
				n, series := p.row(s, i), int(s.series)+i
				if n == nowhere || !fam.ends.isUndecided(n) {
					continue
				}
				l := of[fam][n]
				if l == nil {
					l = &removals{Removals: sum.NewRemovals()}
					of[fam][n] = l
				}
				when := f.Removed.RemovedNanos(series)
				if !l.Add(f.Removed.CreatedNanos(series), when, listed) {
					again[row{fam, n}] = true
				}
				l.parts = append(l.parts, removedPart{part, series, when})
			}
		}
	}
	for _, f := range files {
		if f.Live {
			t.eachPart(f, func(fam *family) bool { return len(of[fam]) > 0 }, func(s row, created int64) {
				if l := of[s.family][s.number]; l != nil {
					l.Living = min(l.Living, created)
				}
			})
		}
	}
	for fam, removals := range of {
		for _, n := range fam.ends.take(removals) {
			end, l := int64(sum.Always), removals[n]
			if l != nil {
				end = l.Since()
			}
			if fam.ends.set(n, end) {
				fam.mark(n)
			}
			if l != nil && int(fam.refs[n]) == len(l.parts) && !python {
				t.retire(fam, l.parts, end)
			}
		}
	}
	for s := range again {
		s.family.ends.undecide(s.number)
	}
}

// retire has removed parts lead nowhere, if they are all the parts of their row and none of
// them counts. Then the row goes, and later scrapes need not look at the parts.
//
// A part that comes later begins another life, for which they do not matter, because all
// files were read after the removals. unretire places them again if that may not hold:
// processes have come or gone, the archive has changed, or a part has come that was made
// before one of them was removed, by a clock that was set back. A process of client_python
// does not say when it made a series, so nothing retires beside one.
func (t *Table) retire(fam *family, parts []removedPart, end int64) {
	for _, p := range parts {
		if p.when > end {
			return
		}
	}
	for _, p := range parts {
		fam.ends.retired = max(fam.ends.retired, p.when)
		p.of.retired = true
		t.releaseRemoved(p.of.removed.vacate(p.series))
	}
}

// unretire places retired parts again.
func (t *Table) unretire(files []*snapshot.File) {
	for _, fam := range t.byName {
		fam.ends.retired = 0
	}
	for _, f := range files {
		if p := t.part(f); p.retired {
			p.retired = false
			p.removals = []mpm.NumberRange{{First: 0, N: p.removed.planned}}
			p.releaseRegions() // some are of those
			t.extend(f)
		}
	}
}

// eachPart calls fn with the undecided rows of the wanted families in which the process of
// a file has a part, and with the part's created time.
func (t *Table) eachPart(f *snapshot.File, wanted func(*family) bool, fn func(s row, created int64)) {
	if f.Python != nil {
		t.python[f.Python.Keys()].each(f, t.part(f), func(s row) { fn(s, 0) })
		return
	}
	p := &t.part(f).series
	for k := range p.all {
		s := &p.all[k]
		fam := s.to.family
		if !wanted(fam) {
			continue
		}
		for i := range int(s.n) {
			if n := p.row(s, i); n != nowhere && fam.ends.isUndecided(n) {
				fn(row{fam, n}, f.Series.CreatedNanos(int(s.series)+i))
			}
		}
	}
}
