//go:build !race

package model

// ttl is the TTL model.
type ttl struct {
	spoiled  string // the fault that the model has, "" for none
	begin    []ttlState
	until    uint8 // when time ends
	most     uint8 // updates that a part can hold
	births   uint8 // processes that start
	deletes  bool  // the application deletes the series
	drops    bool  // it drops handles, and looks the series up
	compacts bool  // a compactor runs
	reads    bool  // a reader does
	whole    bool  // a janitor reads another process's part in one step
}

// ttlState is a state of the TTL model.
type ttlState struct {
	now       uint8
	all       [parts + 1]part // the last is the archive's
	processes [2]process
	lookup    process // process 0's thread that has the Vec's lock, and begins a new life
	births    uint8
	pass      compaction
	r         ttlScrape

	// What was shown last.
	created, value, end uint8
	floor               uint8 // the end of the life before
	fault               fault
}

func (m ttl) starts() []ttlState { return m.begin }

func (m ttl) broken(s ttlState) string {
	if m.drops && !s.oneHandle() {
		return ttlFaults[twoHandles]
	}
	return ttlFaults[s.fault]
}

func (m ttl) steps(s ttlState, step func(who, what string, next ttlState)) {
	if s.fault != noFault {
		return
	}
	then := func(who, what string, next ttlState) {
		m.observe(&next)
		step(who, what, next)
	}
	for who := range s.processes {
		m.janitorSteps(s, who, then)
		m.processSteps(s, who, then)
	}
	if m.drops {
		m.handleSteps(s, then)
	}
	if m.compacts {
		m.compactorSteps(s, then)
	}
	if m.reads {
		m.readerSteps(s, then)
	}
	if n := s; m.tick(&n) {
		then("clock", "a unit of time", n)
	}
}

// tick lets a unit of time pass. Janitors and lookups are punctual: each janitor has begun a run
// in this unit, and what has begun before has ended.
func (m ttl) tick(s *ttlState) bool {
	for i := range s.processes {
		p := &s.processes[i]
		if !p.alive {
			continue
		}
		if p.late || !p.began {
			return false
		}
		p.late = p.at != janitorIdle
		p.began = false
	}
	if s.lookup.late {
		return false
	}
	s.lookup.late = s.lookup.at != janitorIdle
	for i := range s.all[:parts] {
		p := &s.all[i]
		if p.gone && !p.deleted {
			return false // the janitor cleans up, too
		}
		if p.fresh > 0 {
			if p.waits++; p.waits > 4 {
				s.fault = lost
			}
		}
	}
	s.now++
	return s.now <= m.until
}

// processSteps are what an application does, the death of its process, and another one's start.
func (m ttl) processSteps(s ttlState, who int, step func(who, what string, next ttlState)) {
	p := &s.processes[who]
	if !p.alive {
		m.birth(s, who, step)
		return
	}
	for i := range s.all[:parts] {
		if o := &s.all[i]; p.held>>i&1 == 1 && o.count < m.most && !o.deleted {
			n := s
			n.all[i].update()
			step(applications[who], "an update", n)
		}
	}
	if other := s.processes[1-who].at; m.deletes && other != publish && other < renewClock && p.entry != noEntry && !p.locked() && s.lookup.at == janitorIdle {
		n := s
		n.deleteSeries(&n.processes[who])
		step(applications[who], "deletes the series", n)
	}
	n := s
	n.processes[who] = process{}
	for i := range n.all[:parts] {
		if p.owns>>i&1 == 1 {
			n.all[i].die()
		}
	}
	if who == 0 {
		n.lookup = process{}
	}
	step(applications[who], "is killed", n)
}

var applications = [...]string{"process 0", "process 1"}

// birth starts a process that makes the series. It has looked at the clock, and will publish. No
// deletion by another process comes between the two, or while that begins a new life: what is
// made before a removal and published after it is of the life before, without a TTL too.
func (m ttl) birth(s ttlState, who int, step func(who, what string, next ttlState)) {
	for i := range s.all[:parts] {
		if taken := s.processes[1-who].owns>>i&1 == 1; s.births < m.births && !s.all[i].used && !taken && !s.deletedNow() {
			s.births++
			s.processes[who] = process{alive: true, own: uint8(i), owns: 1 << i, began: true, at: publish, t: s.now}
			step(applications[who], "starts, and looks at the clock", s)
			return
		}
	}
}

func (p *part) update() {
	p.count++
	p.sum++
	p.fresh++
}

// die forgets what was in the process's memory.
func (p *part) die() {
	p.dead = p.used
	p.snapshot, p.deleted, p.gone, p.fresh, p.seen, p.waits = 0, false, false, 0, false, 0
}

// deleteSeries deletes the series. Later updates of its handle go nowhere.
func (s *ttlState) deleteSeries(p *process) {
	own := &s.all[p.own]
	if p.entry == strong {
		own.state, own.removed = stateRemoved, s.now+1 // rounded up, as created is rounded down
	}
	own.deleted, own.fresh, own.seen, own.waits = true, 0, false, 0
	p.entry = noEntry
}

// deletedNow reports whether a part was deleted in this unit.
func (s *ttlState) deletedNow() bool {
	for i := range s.all {
		if s.all[i].state == stateRemoved && s.all[i].removed == s.now+1 {
			return true
		}
	}
	return false
}

// observe looks at the view after a step, as a reader could that needs no time for it.
func (m ttl) observe(s *ttlState) {
	v := m.look(s.now, &s.all)
	end := v.end
	if v.closed { // all have removed it: a new life may follow at once
		end = min(end, s.now)
	}
	if v.in != 0 && v.created == s.created {
		s.end = end
	}
	if v.closed {
		s.floor = max(s.floor, v.join) // what is made later begins again
	}
	if s.fault != noFault || !v.shown {
		return
	}
	switch {
	case v.count != v.sum:
		s.fault = halfCounted
	case v.created < s.floor && !v.closed:
		s.fault = createdBack
	case v.created <= s.created && v.count < s.value:
		s.fault = fell // an earlier created is one that was stored late
	case v.created > s.created && s.now+guard < s.end:
		s.fault = createdEarly
	case v.created > s.created:
		s.floor = max(s.floor, max(s.end, guard)-guard)
	}
	s.created, s.value, s.end = v.created, v.count, end
	for i := range s.all {
		if p := &s.all[i]; v.in>>i&1 == 1 && p.fresh > 0 {
			p.seen = true
		}
	}
}

// together returns beginnings: one process has just made the series, another one made it then
// or before, and the part of a third, which is dead, is from somewhere between. Nothing was
// updated until now.
func together(now, dead uint8) (out []ttlState) {
	for created := uint8(2); created < 5; created++ {
		for d := range dead {
			s := ttlState{now: now}
			s.all[0] = part{used: true, state: stateLive, created: 4, active: 4}
			s.all[1] = part{used: true, state: stateLive, created: created, active: created}
			s.processes[0] = process{alive: true, owns: 1, held: 1, entry: strong}
			s.processes[1] = process{alive: true, owns: 2, held: 2, entry: strong, own: 1}
			if d > 0 {
				s.all[2] = part{used: true, dead: true, state: stateLive, created: 1 + d, active: 3 + d/2, count: 1, sum: 1}
			}
			out = append(out, s.shownBefore())
		}
	}
	return out
}

// shownBefore returns a beginning of which readers have seen the life that lasts.
func (s ttlState) shownBefore() ttlState {
	v := ttl{}.look(s.now, &s.all)
	s.created, s.value, s.end = v.created, v.count, v.end
	return s
}
