package table

import (
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
}

// hidden is the end of a row that is not shown.
const hidden = lifetime.Forever

// partlyLife is the life that is shown of a row.
type partlyLife struct {
	lifetime.Life
	members uint64 // tells whether it has the same parts as before
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

// ripen has the rows decided again whose time has come, and those of which a part is seen to be
// active.
func (t *Table) ripen(s *snapshot.Snapshot) {
	t.doubt = false
	back := s.Began < t.began // the clock was set back
	t.began = s.Began
	some := false
	for _, fam := range t.byName {
		if e := &fam.ends; e.expires() {
			some, e.all = true, e.all || back
			e.ripen(s.Ended)
		}
	}
	for _, f := range s.Files {
		if !some || !f.Live || f.Python != nil {
			continue
		}
		p := t.part(f)
		if n := f.Series.ActiveChanges(); n != p.actives || p.series.watched {
			p.series.watch(&f.Series, s.Ended)
			p.actives = n
		}
	}
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

// meet notes that the table knows a part from now on that does not say when it was active
// last.
func (e *expiry) meet(n int32, active, now int64) {
	if active == 0 && e.seenAt(n) == 0 {
		e.see(n, now)
	}
}

// expire decides what is shown of a row, for a reader that has read the files between two
// times, and reports whether every part was over at the first.
func (t *Table) expire(fam *family, n int32, parts []lifetime.Part, s *snapshot.Snapshot) (over bool) {
	e := &fam.ends
	t.lives.Divide(e.rule, parts)
	v := t.lives.Look(s.Began, s.Ended)
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
	return t.lives.IsOver(s.Began)
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
