//go:build !race

package model

// The TTL model is one series, which several processes have. Its unit of time is half a TTL, and
// the guard is a unit too, which is longer than TTL/8: a model with a longer guard has more
// behaviour. Times are whole units. Where the order of two moments within a unit matters, the
// order of the steps says it.
const (
	hiddenAfter = 2 // units after the newest update: TTL
	endAfter    = 4 // TTL and a half, and the guard
	guard       = 1
	holdsLife   = 2 // half a TTL, and the guard

	parts = 3
)

// part is a process's record of the series, or what the archive has of it.
type part struct {
	used                     bool
	dead                     bool // its process is
	state                    uint8
	created, active, removed uint8
	count, sum               uint8 // two words, always the same after an update

	// In the process's memory.
	snapshot uint8 // the count when active was stored
	deleted  bool  // by the application, not expired
	gone     bool  // no handle can be reached any more, and the collector has noticed

	// What the model knows.
	fresh uint8 // updates since then
	seen  bool  // some of them were shown
	waits uint8 // units for which there have been some
}

// span is a stretch of time, from its beginning until before its end. A part that begins later has to
// begin before join to be of the same life.
type span struct{ from, join, to uint8 }

// span returns how long a part lasts: one that is being renewed, and has no removed any more, not
// at all. One that was deleted holds its life a while: updates of others that were shown with it
// are not covered by their active yet, and a janitor may still store what it has decided. But
// what is made after the removal is another life.
func (m ttl) span(p *part) span {
	end := p.active + endAfter
	switch {
	case p.state == stateFree:
		return span{}
	case p.state != stateRemoved:
		return span{p.created, end - guard, end}
	case p.removed == 0:
		return span{}
	case m.spoiled == "a removed part lasts until removed":
		return span{p.created, p.removed - guard, p.removed}
	case m.spoiled == "a removed part holds no life":
		return span{p.created, min(end-guard, p.removed), min(end, p.removed+guard)}
	}
	return span{p.created, min(end-guard, p.removed), min(end, p.removed+holdsLife)}
}

// life returns the life that a span is in: all spans that overlap, directly or over others. An
// overlap shorter than the guard does not count. A process that makes a series looks at the clock first,
// and may publish it when others have seen the earlier life end.
func (m ttl) life(spans []span, of span) (life span, in uint8) {
	for again := true; again; {
		again = false
		for i, s := range spans {
			if in>>i&1 == 0 && s.from < s.to && m.overlap(of, s) {
				of = span{min(of.from, s.from), max(of.join, s.join), max(of.to, s.to)}
				in, again = in|1<<i, true
			}
		}
	}
	return of, in
}

func (m ttl) overlap(a, b span) bool {
	if b.from < a.from {
		a, b = b, a
	}
	switch m.spoiled {
	case "spans that touch are one life":
		return b.from <= a.to
	case "any overlap counts":
		return b.from < a.to
	}
	return b.from < a.join
}

// view is what a reader shows.
type view struct {
	shown        bool
	closed       bool // nobody has the life any more
	created, end uint8
	join         uint8 // what is made from then on is of another life
	count, sum   uint8
	in           uint8 // the parts that count, a bit each
	newest       uint8 // when one of them was updated last
}

// look returns what is shown at a moment of these parts: the first life that has not ended. A life
// that begins within the guard of another waits for its end, unless all have removed that one. The
// last part is the archive's.
func (m ttl) look(now uint8, all *[parts + 1]part) (v view) {
	var spans [parts + 1]span
	for i := range all {
		if all[i].used {
			spans[i] = m.span(&all[i])
		}
	}
	for i, s := range spans {
		if s.from <= now && now < s.to && v.in>>i&1 == 0 {
			life, in := m.life(spans[:], s)
			closed := isClosed(now, all, &spans, in)
			better := v.closed // the earlier one, unless it is closed
			if life.from < v.created {
				better = !closed
			}
			if m.spoiled == "a life within the guard is shown at once" {
				better = life.from > v.created
			}
			if v.in == 0 || better {
				v.created, v.join, v.end, v.in, v.closed = life.from, life.join, life.to, in, closed
			}
		}
	}
	for i := range all {
		if v.in>>i&1 == 1 {
			v.count, v.sum = v.count+all[i].count, v.sum+all[i].sum
			v.newest = max(v.newest, spans[i].to-endAfter)
		}
	}
	v.shown = v.in != 0 && (now < v.newest+hiddenAfter || m.spoiled == "shown until the end")
	return v
}

// isClosed reports whether a life has nobody: its parts are removed, or of the dead and over.
func isClosed(now uint8, all *[parts + 1]part, spans *[parts + 1]span, in uint8) bool {
	for i := range all {
		if p := &all[i]; in>>i&1 == 1 && p.state != stateRemoved && (!p.dead || now < spans[i].to) {
			return false
		}
	}
	return true
}

// fault of the TTL model, as that of reuse.
var ttlFaults = [...]string{
	fell:         "a counter falls within one life",
	halfCounted:  "a histogram is shown whose count and sum do not belong together",
	createdBack:  "the created time goes back",
	createdEarly: "the created time is renewed, although the life has not ended",
	lost:         "an acknowledged update is lost",
	twice:        "an update is shown in two lives",
	oldValue:     "a new life begins with what an earlier one has counted",
	twoHandles:   "a process has two handles of one label set",
	notShown:     "a series is not shown although its life contains now",
	tornRead:     "a scrape shows what the series never was",
}

const (
	fell fault = iota + 1
	halfCounted
	createdBack
	createdEarly
	lost
	twice
	oldValue
	twoHandles
	notShown
	tornRead
)
