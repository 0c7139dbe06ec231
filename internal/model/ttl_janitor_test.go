//go:build !race

package model

import "strings"

// janitorStep is what a janitor does next.
type janitorStep uint8

const (
	janitorIdle janitorStep = iota
	publish
	janitorCompare
	janitorCreated
	janitorActive
	janitorAgain
	janitorArchive
	janitorStoreActive
	janitorStoreRemoved
	janitorStoreState
	janitorCompareAgain
	renewClock
	renewRemoved
	renewCount
	renewSum
	renewCreated
	renewActive
	renewState
)

var janitorNames = [...]string{
	janitorIdle:         "looks at the clock: t",
	publish:             "publishes a new record",
	janitorCompare:      "compares words and snapshot",
	janitorCreated:      "loads a part's state and created",
	janitorActive:       "loads its active and removed",
	janitorAgain:        "loads its state and created again",
	janitorArchive:      "reads the archive, and knows E",
	janitorStoreActive:  "stores active",
	janitorStoreRemoved: "expire: removed",
	janitorStoreState:   "expire: state 2",
	janitorCompareAgain: "expire: compares again",
	renewClock:          "new life: looks at the clock",
	renewRemoved:        "new life: removed is 0",
	renewCount:          "new life: takes the snapshot from the count",
	renewSum:            "new life: takes the snapshot from the sum",
	renewCreated:        "new life: created",
	renewActive:         "new life: active",
	renewState:          "new life: state 1",
}

// process is a process that has the series, or had it.
type process struct {
	alive bool
	own   uint8 // the part that the entry of its Vec is about
	entry entry
	owns  uint8 // its parts, a bit each
	held  uint8 // those of whose handles the application has one

	// The janitor.
	began bool // a run in this unit of time
	late  bool // the run has begun in an earlier unit

	at      janitorStep
	t       uint8 // of its clock
	words   uint8 // the count that it has seen
	life    uint8 // created of its own part, as it has seen that
	expired bool  // and whether that was expired
	other   uint8 // the part that it reads
	created uint8
	state   uint8
	active  uint8
	removed uint8
	spans   [parts]span
	end     uint8 // E
}

// entry is what a Vec has for the label set.
type entry uint8

const (
	noEntry entry = iota
	strong
	weak // a weak pointer to the handle of an expired series
)

// locked reports whether a thread has the Vec's lock.
func (p *process) locked() bool { return p.at > janitorStoreRemoved && p.at != renewClock }

// janitorSteps does the next step of a process's janitor. A run begins once in a unit.
func (m ttl) janitorSteps(s ttlState, who int, step func(who, what string, next ttlState)) {
	p := &s.processes[who]
	if !p.alive || p.at == janitorIdle && p.began {
		return
	}
	if (p.at == janitorStoreRemoved || p.at == renewClock) && s.lookup.at != janitorIdle {
		return // it waits for the Vec's lock
	}
	if p.at == renewClock && s.deletedNow() {
		return // in the next unit: within one, what comes after a removal would look as if before it
	}
	what := janitorNames[p.at]
	m.janitor(&s, p)
	step(janitors[who], what, s)
}

var janitors = [...]string{"janitor 0", "janitor 1"}

func (m ttl) janitor(s *ttlState, p *process) {
	own := &s.all[p.own]
	switch p.at {
	case janitorIdle:
		p.t, p.began, p.at = s.now, true, janitorCompare
	case publish:
		*own = part{used: true, state: stateLive, created: p.t, active: p.t}
		p.entry, p.held = strong, p.held|1<<p.own
		p.idle()
	case janitorCompare:
		m.compare(own, p)
	case janitorCreated, janitorActive, janitorAgain:
		m.readPart(s, p)
	case janitorArchive:
		m.knowEnd(s, p)
	case janitorStoreActive: // under the Vec's lock
		if own.deleted && m.spoiled != "active of a deleted part" {
			p.idle()
			break
		}
		own.active = p.t
		own.cover(p.words)
		s.settle(m, p)
	case janitorStoreRemoved:
		if p.overtaken(own) {
			p.idle()
			break
		}
		p.entry = weak
		own.removed, p.at = p.t, janitorStoreState
	case janitorStoreState:
		own.state, p.expired, p.at = stateRemoved, true, janitorCompareAgain
		if m.spoiled == "no second comparison" {
			p.idle()
		}
	case janitorCompareAgain:
		if p.words = own.count; p.words == own.snapshot {
			p.idle()
			break
		}
		p.at = renewClock
	default:
		m.renew(s, p, own)
	}
}

// overtaken reports whether the part is not what it was when it was compared. Who has taken
// the Vec's lock asks.
func (p *process) overtaken(own *part) bool {
	return own.deleted || own.gone || p.life != own.created || p.expired != (own.state == stateRemoved)
}

// idle ends a run.
func (p *process) idle() {
	*p = process{alive: p.alive, own: p.own, entry: p.entry, owns: p.owns, held: p.held, began: p.began && !p.late}
}

// compare decides what has to be known.
func (m ttl) compare(own *part, p *process) {
	p.words, p.life, p.expired = own.count, own.created, own.state == stateRemoved
	changed := p.words != own.snapshot
	switch {
	case p.entry == noEntry || own.gone || own.state == stateFree || own.state == stateRemoved && m.spoiled == "expired series are not watched":
		p.idle()
	case own.state == stateRemoved && changed:
		p.at = renewClock
	case own.state == stateRemoved || !changed && p.t < own.active+endAfter:
		p.idle()
	case changed && p.t+guard < own.active+endAfter:
		p.at = janitorStoreActive // its life lasts at least so long
	default:
		p.at = janitorCreated
		p.nextPart(-1)
	}
}

// nextPart goes to the next part of another process, or to the archive after the last one.
func (p *process) nextPart(after int) {
	if after++; after == int(p.own) {
		after++
	}
	p.created, p.state, p.active, p.removed = 0, 0, 0, 0
	p.other, p.at = uint8(after), janitorCreated
	if after >= parts {
		p.other, p.at = 0, janitorArchive
	}
}

// readPart reads the span of another process's part. Created is loaded again after active:
// otherwise an earlier life's created and a later one's active would be a span that never was.
func (m ttl) readPart(s *ttlState, p *process) {
	o := &s.all[p.other]
	switch {
	case m.whole && o.used: // the other models have shown that this may be one step
		p.spans[p.other] = m.span(o)
		p.nextPart(int(p.other))
	case !o.used: // compacted: the archive is read after the parts
		p.spans[p.other] = span{}
		p.nextPart(int(p.other))
	case p.at == janitorCreated:
		p.state, p.created, p.at = o.state, o.created, janitorActive
	case p.at == janitorActive:
		p.active, p.removed, p.at = o.active, o.removed, janitorAgain
		if m.spoiled == "created is loaded once" {
			p.spans[p.other] = m.span(&part{state: p.state, created: p.created, active: p.active, removed: p.removed})
			p.nextPart(int(p.other))
		}
	case o.state != p.state || o.created != p.created:
		p.created, p.state, p.active, p.removed, p.at = 0, 0, 0, 0, janitorCreated
	default:
		p.spans[p.other] = m.span(&part{state: p.state, created: p.created, active: p.active, removed: p.removed})
		p.nextPart(int(p.other))
	}
	if p.at == janitorArchive && !m.compacts {
		m.knowEnd(s, p)
	}
}

// knowEnd finds the end of the life that the own part is in, and decides.
func (m ttl) knowEnd(s *ttlState, p *process) {
	own := &s.all[p.own]
	changed := p.words != own.snapshot
	all := [parts + 2]span{}
	copy(all[:], p.spans[:])
	if a := &s.all[parts]; a.used {
		all[parts] = m.span(a)
	}
	all[parts+1] = m.span(own)
	life, _ := m.life(all[:], all[parts+1])
	p.end = life.to
	switch m.spoiled {
	case "own end":
		p.end = all[parts+1].to
	case "own end for a change":
		if changed {
			p.end = all[parts+1].to
		}
	case "newest end":
		for _, s := range all {
			p.end = max(p.end, s.to)
		}
	case "clock after the parts":
		p.t = s.now
	}
	p.spans = [parts]span{}
	switch {
	case changed && (p.t+guard < p.end || m.spoiled == "no guard" && p.t < p.end):
		p.at = janitorStoreActive
	case changed && (p.t >= p.end || m.spoiled == "no wait before the end"):
		p.at = renewClock
	case !changed && p.t >= p.end:
		p.at = janitorStoreRemoved
	default: // changed within the guard: the next run decides
		p.idle()
	}
}

// renew begins a new life in the same record. Created is stored after the words, so that no
// new life is shown with old values, and before active, so that the old life never gets longer.
func (m ttl) renew(s *ttlState, p *process, own *part) {
	next := map[janitorStep]janitorStep{
		renewClock: renewRemoved, renewRemoved: renewCount, renewCount: renewSum, renewSum: renewCreated, renewCreated: renewActive, renewActive: renewState,
	}
	switch m.spoiled {
	case "active before created":
		next[renewSum], next[renewActive], next[renewCreated] = renewActive, renewCreated, renewState
	case "created before the words":
		next[renewRemoved], next[renewCreated], next[renewSum] = renewCreated, renewCount, renewActive
	case "created and active before the words":
		next[renewRemoved], next[renewActive], next[renewSum] = renewCreated, renewCount, renewState
	}
	if strings.Contains(m.spoiled, "a new record") {
		// The old one is free before its words change, and the new one is published at once.
		next[renewClock], next[renewCreated] = renewRemoved, renewState
		switch p.at {
		case renewRemoved:
			own.state = stateFree
		case renewCreated:
			own.created, own.active, own.removed, own.state = p.t, p.t, 0, stateLive
			m.renewed(s, p, own)
			return
		}
	}
	at := p.at
	p.at = next[at]
	switch at {
	case renewClock:
		if p.overtaken(own) {
			p.idle()
			return
		}
		if p.entry = strong; m.spoiled != "created is the first clock" {
			p.t = s.now
		}
	case renewRemoved:
		own.removed = 0
	case renewCount:
		own.count -= own.snapshot
		if m.spoiled == "words are set to 0" {
			own.count = 0
		}
	case renewSum:
		own.sum -= own.snapshot
		if m.spoiled == "words are set to 0" {
			own.sum = 0
		}
	case renewCreated:
		own.created = p.t
	case renewActive:
		own.active = p.t
	}
	if p.at == renewRemoved && !strings.Contains(m.spoiled, "a new record") && (own.state == stateLive || m.spoiled == "removed stays in a new life") {
		p.at = next[renewRemoved]
	}
	if p.at == renewState && own.state == stateLive || at == renewState {
		own.state = stateLive
		m.renewed(s, p, own)
	}
}

// renewed judges a new life.
func (m ttl) renewed(s *ttlState, p *process, own *part) {
	switch {
	case own.count < own.fresh:
		s.fault = lost
	case own.count > own.fresh:
		s.fault = oldValue
	case own.seen:
		s.fault = twice
	}
	words := p.words - own.snapshot
	own.snapshot = 0
	own.cover(words)
	s.settle(m, p)
}

// cover notes that active says when these words were seen.
func (p *part) cover(words uint8) {
	if p.deleted { // meanwhile
		return
	}
	p.fresh -= words - p.snapshot
	p.snapshot = words
	p.seen = p.seen && p.fresh > 0
	p.waits = 0
}

// settle ends a run that has seen updates: they must be shown now.
func (s *ttlState) settle(m ttl, p *process) {
	v := m.look(s.now, &s.all)
	waits := v.in != 0 && v.in>>p.own&1 == 0 // for an earlier life to end
	if s.fault == noFault && !v.shown && !waits && !s.all[p.own].deleted {
		s.fault = notShown
	}
	p.idle()
}
