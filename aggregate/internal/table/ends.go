package table

import (
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/internal/mpm"
)

// ends say which parts of a family's rows count. For each row they have when its last life
// ended: parts that were made before that do not count (sum.LastEnd). In a family with a time
// to live, expiry says more. A row is decided again only if one of its parts has come, gone or
// changed, or its time has come, so a scrape looks only at few rows.
type ends struct {
	at      []int64 // column, as far as some row has one
	some    int     // how many rows have an end
	removed int     // how many parts of the family's rows their processes have removed

	// retired is the latest time of removal of the family's retired parts (see retire).
	retired int64

	all       bool              // every row must be decided again
	undecided []int32           // rows that must be
	listed    []int32           // column, as far as needed: the row's index in undecided, counted from 1
	parts     [][]lifetime.Part // of the undecided rows, while they are decided

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
	if (e.removed > 0 || e.some > 0 || e.expires()) && !e.all {
		e.list(n)
	}
}

func (e *ends) list(n int32) {
	if e.listed = long(e.listed, int(n)+1); e.listed[n] == 0 {
		e.undecided = append(e.undecided, n)
		e.listed[n] = int32(len(e.undecided))
	}
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

// counts reports whether series i of a file's list counts for row n. gone says that the
// process has removed the series of the list.
func (e *ends) counts(n int32, list *mpm.SeriesList, i int, gone bool) bool {
	return e.since(n) == sum.Always || e.has(n, e.partOf(n, list, i, gone))
}

// countsStored is counts for a series of the archive.
func (e *ends) countsStored(n int32, f *mpm.StoredList, i int) bool {
	return e.since(n) == sum.Always || e.has(n, e.storedPart(n, f, i))
}

// countsPython is counts for a series of client_python.
func (e *ends) countsPython(n int32) bool {
	return e.since(n) == sum.Always || e.has(n, lifetime.Part{Active: e.seenAt(n)})
}

// has reports whether a part counts of a row that has an end.
func (e *ends) has(n int32, p lifetime.Part) bool {
	switch since := e.since(n); {
	case !e.expires():
		return sum.Counts(p.Created, p.Removed, since)
	case since == hidden:
		return false
	}
	life := e.partly[n]
	return life.Has(e.rule, &p)
}

// undecide has all ends decided again. That is needed if a process has begun or ended, and
// beside a file of client_python, whose series come and go without a sign.
func (t *Table) undecide() {
	for _, fam := range t.byName {
		fam.ends.all = true
	}
}

// decide decides which parts count, of every row of which that may have changed.
func (t *Table) decide(s *snapshot.Snapshot) {
	t.ripen(s)
	t.listAll(s.Files)
	some := false
	for _, fam := range t.byName {
		some = fam.begin() || some
	}
	if !some {
		return
	}
	t.gather(s.Files)
	retire := map[row]int64{}
	for _, fam := range t.byName {
		e := &fam.ends
		rows, parts := e.undecided, e.parts
		if parts == nil {
			continue
		}
		e.undecided, e.parts = nil, nil
		for _, n := range rows {
			e.listed[n] = 0
		}
		for i, n := range rows {
			over, until := false, s.Began
			if e.expires() {
				over = t.expire(fam, n, parts[i], s)
			} else {
				over, until = fam.end(n, parts[i], s.Listed.UnixNano())
			}
			if over && len(parts[i]) == int(fam.refs[n]) && len(parts[i]) > 0 && !slices.ContainsFunc(parts[i], isThere) {
				retire[row{fam, n}] = until
			}
		}
	}
	if len(retire) > 0 && !slices.ContainsFunc(s.Files, isPython) {
		t.retire(s.Files, retire)
	}
}

func isPython(f *snapshot.File) bool { return f.Python != nil }

// listAll lists the rows of families that must decide all of them. Rows that never expire, of
// which nobody has removed a part, need no decision.
func (t *Table) listAll(files []*snapshot.File) {
	removed := false
	for _, fam := range t.byName {
		e := &fam.ends
		if !e.all {
			continue
		}
		if e.expires() || e.some > 0 {
			for _, n := range fam.order {
				if e.expires() || e.since(n) != sum.Always {
					e.list(n)
				}
			}
		}
		removed = removed || e.removed > 0
	}
	for _, f := range files {
		if !removed {
			break
		}
		t.part(f).removed.each(func(s row, _ int) {
			if e := &s.family.ends; e.all {
				e.list(s.number)
			}
		})
	}
	for _, fam := range t.byName {
		fam.ends.all = false
	}
}

// begin makes room for the parts of the undecided rows, and reports whether there are any.
func (f *family) begin() bool {
	e := &f.ends
	if len(e.undecided) == 0 {
		return false
	}
	parts := 0
	for _, n := range e.undecided {
		parts += int(f.refs[n])
	}
	e.parts = make([][]lifetime.Part, len(e.undecided))
	room := make([]lifetime.Part, parts)
	for i, n := range e.undecided {
		e.parts[i], room = room[:0:f.refs[n]], room[f.refs[n]:]
	}
	return true
}

// isWanted reports whether the parts of a row are collected.
func (e *ends) isWanted(n int32) bool {
	return e.parts != nil && n != nowhere && int(n) < len(e.listed) && e.listed[n] > 0
}

// collect notes a part of a row that is wanted.
func (e *ends) collect(n int32, p lifetime.Part) {
	parts := &e.parts[e.listed[n]-1]
	*parts = append(*parts, p)
}

// gather collects the parts of the undecided rows.
func (t *Table) gather(files []*snapshot.File) {
	for _, f := range files {
		p := t.part(f)
		if f.Python != nil {
			t.python[f.Python.Keys()].each(f, p, func(s row) { s.family.ends.collectPython(s.number, !f.Live, t.now) })
			continue
		}
		p.series.gather(&f.Series, f.Live, t.now)
		p.removed.gather(&f.Removed, f.Live, t.now)
	}
	if t.archive == nil {
		return
	}
	for i := range t.archive.Loaded {
		f, p := &t.archive.Loaded[i], &t.placed[i]
		if p.target == nil || p.target.ends.parts == nil {
			continue
		}
		e := &p.target.ends
		for j, n := range p.rows {
			if e.isWanted(n) && t.archive.IsShown(f, j) {
				e.meet(n, f.Series.Active(j), t.now)
				e.collect(n, e.storedPart(n, &f.Series, j))
			}
		}
	}
}

// gather collects parts of a file.
func (p *spans) gather(list *mpm.SeriesList, live bool, now int64) {
	for k := range p.all {
		s := &p.all[k]
		e := &s.to.family.ends
		if e.parts == nil || e.expires() && !live && sum.IsLive(s.to.schema) {
			continue
		}
		for i := range int(s.n) {
			n, series := p.row(s, i), int(s.series)+i
			if e.isWanted(n) {
				e.meet(n, list.ActiveNanos(series), now)
				part := e.partOf(n, list, series, p.gone)
				part.Dead = !live
				e.collect(n, part)
			}
		}
	}
}

// collectPython collects the part that files of client_python have of a row. Nobody knows when
// they made it.
func (e *ends) collectPython(n int32, dead bool, now int64) {
	if !e.isWanted(n) {
		return
	}
	e.meet(n, 0, now)
	parts := e.parts[e.listed[n]-1]
	for k := range parts {
		if p := &parts[k]; p.Created == 0 && !p.Gone {
			p.Dead = p.Dead && dead
			return
		}
	}
	e.collect(n, lifetime.Part{Active: e.seenAt(n), Dead: dead})
}

// end decides when the last life of a row ended that never expires. over says that all removed
// parts were removed until then.
func (f *family) end(n int32, parts []lifetime.Part, listed int64) (over bool, end int64) {
	end, later := sum.LastEnd(parts, listed)
	if f.ends.set(n, end) {
		f.mark(n)
	}
	if later {
		f.ends.undecide(n) // a later listing says more
	}
	return !slices.ContainsFunc(parts, func(p lifetime.Part) bool { return p.Gone && p.Removed > end }), end
}

func isThere(p lifetime.Part) bool { return !p.Gone }

// retire has removed parts lead nowhere, if they are all the parts of their row and none of
// them counts. Then the row goes, and later scrapes need not look at the parts. rows has until
// when the parts of each were removed; a later time is of a wrong clock.
//
// A part that comes later begins another life, for which they do not matter, because all
// files were read after the removals. unretire places them again if that may not hold:
// processes have come or gone, the archive has changed, or a part has come that was made
// before one of them was removed, by a clock that was set back. A process of client_python
// does not say when it made a series, so nothing retires beside one.
func (t *Table) retire(files []*snapshot.File, rows map[row]int64) {
	for _, f := range files {
		p := t.part(f)
		p.removed.each(func(s row, series int) {
			if until, over := rows[s]; over {
				s.family.ends.retired = max(s.family.ends.retired, min(f.Removed.RemovedNanos(series), until))
				p.retired = true
				t.releaseRemoved(p.removed.vacate(series))
			}
		})
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
			p.removed.added = []mpm.NumberRange{{First: 0, N: p.removed.planned}}
			p.releaseRegions() // some are of those
			t.extend(f)
		}
	}
}
