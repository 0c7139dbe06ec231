package table

import (
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/internal/mpm"
)

// expiry is what a family with a time to live (TTL) knows of its rows. The rule is that of
// package lifetime. A row is decided again if one of its parts comes, goes or changes, and
// when its time has come. Then ends has
//
//	sum.Always   the row is shown, with all its parts
//	hidden       it is not shown
//	any other    it is shown, with some of its parts: see partly
//
// A part that does not say when it was active last, because its file has no TTL for the
// family, was when the table has seen a value of the row change. All such parts of a row go
// together.
type expiry struct {
	rule   lifetime.Rule        // zero if its series never expire
	next   []int64              // column, as far as needed: when the row must be decided again
	due    int64                // none has to be earlier
	seen   []int64              // column, as far as needed: when a value was seen to change, 0 for never
	partly map[int32]partlyLife // rows with parts that do not count

	pending *pending // while rows are decided
}

// hidden is the end of a row that is not shown.
const hidden = lifetime.Forever

// partlyLife is the life that is shown of a row.
type partlyLife struct {
	lifetime.Life
	members uint64 // tells whether it has the same parts as before
}

// pending are rows that are being decided.
type pending struct {
	rows  []int32
	index []int32           // column: the row's index in rows, counted from 1
	parts [][]lifetime.Part // by index
}

func (p *pending) add(n int32, part lifetime.Part) {
	if i := p.index[n] - 1; i >= 0 {
		p.parts[i] = append(p.parts[i], part)
	}
}

// expires reports whether series of the family expire.
func (e *expiry) expires() bool { return e.rule.TTL > 0 }

// setRule sets the rule of the family. If it is a new one, every row is decided again.
func (e *ends) setRule(r lifetime.Rule) {
	if e.rule == r {
		return
	}
	e.expiry = expiry{rule: r, seen: e.seen}
	e.all = true
}

// counts reports whether series i of a file's list counts for row n. gone says that the
// process has removed the series of the list.
func (e *ends) counts(n int32, list *mpm.SeriesList, i int, gone bool) bool {
	switch since := e.since(n); {
	case !e.expires():
		return sum.Counts(list.CreatedNanos(i), list.RemovedNanos(i), since)
	case since == sum.Always || since == hidden:
		return since == sum.Always
	}
	p := e.partOf(n, list, i, gone)
	life := e.partly[n]
	return life.Has(e.rule, &p)
}

// countsNew is counts for a series that has just come. If it is wrong, the row is decided
// again anyhow.
func (e *ends) countsNew(n int32, created int64) bool {
	if since := e.since(n); e.expires() {
		return since == sum.Always
	} else {
		return sum.Counts(created, 0, since)
	}
}

// countsStored is counts for a series of the archive.
func (e *ends) countsStored(n int32, f *mpm.StoredList, i int) bool {
	switch since := e.since(n); {
	case !e.expires():
		return sum.Counts(f.Created(i), 0, since)
	case since == sum.Always || since == hidden:
		return since == sum.Always
	}
	p := e.storedPart(n, f, i)
	life := e.partly[n]
	return life.Has(e.rule, &p)
}

// countsPython is counts for a series of client_python.
func (e *ends) countsPython(n int32) bool {
	switch since := e.since(n); {
	case !e.expires():
		return since <= 0
	case since == sum.Always || since == hidden:
		return since == sum.Always
	}
	life := e.partly[n]
	return life.Has(e.rule, &lifetime.Part{Active: e.seenAt(n)})
}

func (e *expiry) partOf(n int32, list *mpm.SeriesList, i int, gone bool) lifetime.Part {
	return lifetime.Part{Created: list.CreatedNanos(i), Active: e.active(n, list.ActiveNanos(i)), Removed: list.RemovedNanos(i), Gone: gone}
}

func (e *expiry) storedPart(n int32, f *mpm.StoredList, i int) lifetime.Part {
	return lifetime.Part{Created: f.Created(i), Active: e.active(n, f.Active(i)), Dead: true}
}

// active returns when a part of a row was active last. nanos is what the part says, or 0.
func (e *expiry) active(n int32, nanos int64) int64 {
	if nanos == 0 {
		return e.seenAt(n)
	}
	return nanos
}

func (e *expiry) seenAt(n int32) int64 {
	if int(n) < len(e.seen) {
		return e.seen[n]
	}
	return 0
}

// see notes that a value of a row has changed.
func (e *expiry) see(n int32, now int64) {
	if e.expires() {
		e.seen = long(e.seen, int(n)+1)
		e.seen[n] = now
	}
}

// see notes which rows have changed, of series that do not say when they were active last.
func (p *spans) see(changes []mpm.Change, now int64) {
	if !p.watched {
		return
	}
	for _, c := range changes {
		if to, n := p.rowAt(c.At); n != nowhere && to.schema.TTL == 0 {
			to.family.ends.see(n, now)
		}
	}
}

// forget drops what is known of a row whose number is free.
func (e *expiry) forget(n int32) {
	if int(n) < len(e.seen) {
		e.seen[n] = 0
	}
	if int(n) < len(e.next) {
		e.next[n] = 0
	}
	delete(e.partly, n)
}

// Doubts reports whether, in the last Plan, the time of some series has passed while the files
// were read. What was read of it may belong to its next life, so it is hidden.
func (t *Table) Doubts() bool { return t.doubt }

// Hidden returns how many series are hidden because nobody has updated them for their TTL.
func (t *Table) Hidden() (n int) {
	for _, fam := range t.byName {
		if fam.ends.expires() && fam.ends.some > 0 {
			for _, end := range fam.ends.at {
				if end == hidden {
					n++
				}
			}
		}
	}
	return n
}

// expire decides which rows of families with a TTL are shown, and with which parts, for a
// reader that has read the files between the two times.
func (t *Table) expire(files []*snapshot.File, began, ended int64) {
	t.doubt = false
	back := began < t.began // the clock was set back
	t.began = began
	some := false
	for _, fam := range t.byName {
		if e := &fam.ends; e.expires() {
			some, e.all = true, e.all || back
			e.ripen(ended)
		}
	}
	if !some {
		return
	}
	for _, f := range files {
		if !f.Live || f.Python != nil {
			continue
		}
		p := t.part(f)
		if n := f.Series.ActiveChanges(); n != p.actives || p.series.watched {
			p.series.watch(&f.Series, ended)
			p.actives = n
		}
	}
	some = false
	for _, fam := range t.byName {
		some = fam.choosePending() || some
	}
	if !some {
		return
	}
	t.gather(files)
	python := slices.ContainsFunc(files, func(f *snapshot.File) bool { return f.Python != nil })
	retire := map[row]bool{}
	for _, fam := range t.byName {
		p := fam.ends.pending
		if p == nil {
			continue
		}
		for i, n := range p.rows {
			t.decide(fam, n, p.parts[i], began, ended)
			if over := !python && t.lives.IsOver(began) && len(p.parts[i]) == int(fam.refs[n]); over && allGone(p.parts[i]) {
				retire[row{fam, n}] = true
			}
		}
		fam.ends.pending = nil
	}
	if len(retire) > 0 {
		t.retireOver(files, retire, began)
	}
}

func allGone(parts []lifetime.Part) bool {
	return len(parts) > 0 && !slices.ContainsFunc(parts, func(p lifetime.Part) bool { return !p.Gone })
}

// ripen has the rows decided whose time has come.
func (e *ends) ripen(now int64) {
	if now < e.due || e.all {
		return
	}
	e.due = lifetime.Forever
	for n, next := range e.next {
		if next == 0 {
			continue
		}
		if next <= now {
			e.undecide(int32(n))
		} else {
			e.due = min(e.due, next)
		}
	}
}

// watch looks at when series were active last. A row that is shown with all its parts is shown
// longer. Others may have to be decided again.
func (p *spans) watch(list *mpm.SeriesList, now int64) {
	for k := range p.all {
		s := &p.all[k]
		e := &s.to.family.ends
		if !e.expires() || e.all {
			continue
		}
		for i := range int(s.n) {
			n := p.row(s, i)
			if n == nowhere {
				continue
			}
			until := e.active(n, list.ActiveNanos(int(s.series)+i)) + e.rule.TTL
			switch since := e.since(n); {
			case since == sum.Always:
				if int(n) < len(e.next) && e.next[n] != 0 && until > e.next[n] && until > now {
					e.next[n] = until
				}
			case since != hidden, until > now:
				e.undecide(n)
			}
		}
	}
}

// choosePending begins to decide the family's undecided rows, and reports whether there are
// any.
func (f *family) choosePending() bool {
	e := &f.ends
	if !e.expires() || !e.all && len(e.undecided) == 0 {
		return false
	}
	p := &pending{rows: e.undecided}
	for _, n := range e.undecided {
		e.listed[n] = false
	}
	if e.all {
		p.rows = slices.Clone(f.order)
	}
	e.all, e.undecided = false, nil
	parts := 0
	for _, n := range p.rows {
		parts += int(f.refs[n])
	}
	p.index, p.parts = make([]int32, len(f.symbol)), make([][]lifetime.Part, len(p.rows))
	room := make([]lifetime.Part, parts)
	for i, n := range p.rows {
		p.index[n] = int32(i) + 1
		p.parts[i], room = room[:0:f.refs[n]], room[f.refs[n]:]
	}
	e.pending = p
	return true
}

// gather collects the parts of the rows that are being decided.
func (t *Table) gather(files []*snapshot.File) {
	for _, f := range files {
		p := t.part(f)
		if f.Python != nil {
			t.python[f.Python.Keys()].each(f, p, func(s row) {
				if e := &s.family.ends; e.pending != nil {
					e.addPython(s.number, !f.Live, t.now)
				}
			})
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
		if p.target == nil || p.target.ends.pending == nil {
			continue
		}
		e := &p.target.ends
		for j, n := range p.rows {
			if n != nowhere && t.archive.IsShown(f, j) {
				e.meet(n, f.Series.Active(j), t.now)
				e.pending.add(n, e.storedPart(n, &f.Series, j))
			}
		}
	}
}

// meet notes that the table knows a part from now on that does not say when it was active
// last.
func (e *expiry) meet(n int32, active, now int64) {
	if active == 0 && e.seenAt(n) == 0 {
		e.see(n, now)
	}
}

// gather collects parts of a file.
func (p *spans) gather(list *mpm.SeriesList, live bool, now int64) {
	for k := range p.all {
		s := &p.all[k]
		e := &s.to.family.ends
		if e.pending == nil || !live && sum.IsLive(s.to.schema) {
			continue
		}
		for i := range int(s.n) {
			n, series := p.row(s, i), int(s.series)+i
			if n == nowhere || e.pending.index[n] == 0 {
				continue
			}
			e.meet(n, list.ActiveNanos(series), now)
			part := e.partOf(n, list, series, p.gone)
			part.Dead = !live
			e.pending.add(n, part)
		}
	}
}

// addPython adds the part that files of client_python have of a row. Nobody knows when they
// made it.
func (e *expiry) addPython(n int32, dead bool, now int64) {
	i := e.pending.index[n] - 1
	if i < 0 {
		return
	}
	e.meet(n, 0, now)
	for k := range e.pending.parts[i] {
		if p := &e.pending.parts[i][k]; p.Created == 0 && !p.Gone {
			p.Dead = p.Dead && dead
			return
		}
	}
	e.pending.add(n, lifetime.Part{Active: e.seenAt(n), Dead: dead})
}

// decide decides what is shown of a row.
func (t *Table) decide(fam *family, n int32, parts []lifetime.Part, began, ended int64) {
	e := &fam.ends
	t.lives.Divide(e.rule, parts)
	v := t.lives.Look(began, ended)
	since := v.Created
	switch {
	case len(parts) == 0, t.neverExpires(fam, n): // of live gauges, only the living's are parts
		since, v.Next = sum.Always, lifetime.Forever
	case !v.Shown:
		since, t.doubt = hidden, t.doubt || v.Doubt
	case v.Whole:
		since = sum.Always
	}
	changed := e.set(n, since)
	if since != sum.Always && since != hidden {
		now := partlyLife{Life: v.Life, members: 1}
		for i := range parts {
			if p := &parts[i]; now.Has(e.rule, p) {
				now.members = now.members*31 + uint64(p.Created)
			}
		}
		old := e.partly[n]
		changed = changed || old.members != now.members
		if e.partly == nil {
			e.partly = map[int32]partlyLife{}
		}
		e.partly[n] = now
	} else {
		delete(e.partly, n)
	}
	if changed {
		fam.mark(n)
	}
	e.next = long(e.next, int(n)+1)
	e.next[n] = v.Next
	e.due = min(e.due, v.Next)
}

// neverExpires is sum.NeverExpires for a row.
func (t *Table) neverExpires(fam *family, n int32) bool {
	t.labels = fam.appendLabels(t.labels[:0], n)
	process := ""
	if sum.PerProcess(fam.schema) {
		process = t.processLabel
	}
	return sum.NeverExpires(t.labels, process)
}

// retireOver is retire for rows of families with a TTL, all of whose parts are removed and have
// ended.
func (t *Table) retireOver(files []*snapshot.File, rows map[row]bool, now int64) {
	for _, f := range files {
		part := t.part(f)
		p := &part.removed
		for k := range p.all {
			s := &p.all[k]
			fam := s.to.family
			for i := range int(s.n) {
				n, series := p.row(s, i), int(s.series)+i
				if n == nowhere || !rows[row{fam, n}] {
					continue
				}
				fam.ends.retired = max(fam.ends.retired, min(f.Removed.RemovedNanos(series), now))
				part.retired = true
				t.releaseRemoved(p.vacate(series))
			}
		}
	}
}
