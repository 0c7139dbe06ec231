//go:build !race

package model

// handleSteps are what the application of process 0 does with handles, and what the garbage
// collector does after it.
func (m ttl) handleSteps(s ttlState, step func(who, what string, next ttlState)) {
	p := &s.processes[0]
	if !p.alive {
		return
	}
	if s.lookup.at != janitorIdle {
		n := s
		n.lookup.entry, n.lookup.own = p.entry, p.own
		what := janitorNames[n.lookup.at]
		m.janitor(&n, &n.lookup)
		step("lookup", what, n)
	}
	unlocked := !p.locked() && s.lookup.at == janitorIdle
	m.lookUp(s, unlocked, step)
	for i := range s.all[:parts] {
		o := &s.all[i]
		if p.owns>>i&1 == 0 || !o.used {
			continue
		}
		if p.held>>i&1 == 1 {
			n := s
			n.processes[0].held &^= 1 << i
			step("process 0", "drops a handle", n)
		} else if !o.gone && (int(p.own) != i || p.entry != strong) && !p.locked() && s.lookup.at == janitorIdle {
			n := s
			n.all[i].gone = true
			step("collector", "finds that a handle is gone", n)
		}
		if o.gone && unlocked && (!o.deleted || m.span(o).to <= s.now) { // its values count until then
			n := s
			m.cleanUp(&n, i)
			step("janitor 0", "cleans up after a handle", n)
		}
	}
}

// lookUp returns a handle of the series to the application.
func (m ttl) lookUp(s ttlState, unlocked bool, step func(who, what string, next ttlState)) {
	n := s
	p := &n.processes[0]
	own := &n.all[p.own]
	switch {
	case p.entry == strong && p.held>>p.own&1 == 1:
	case p.entry == strong: // without the lock
		p.held |= 1 << p.own
		step("process 0", "looks the series up", n)
	case !unlocked:
	case p.entry == weak && !own.gone && m.spoiled != "an expired series is never found":
		p.idle() // a janitor that wants the lock will find it live
		p.entry, p.held = strong, p.held|1<<p.own
		n.lookup = process{at: renewClock, words: own.count, own: p.own, life: own.created, expired: true}
		step("process 0", "looks an expired series up", n)
	default:
		for i := range s.all[:parts] {
			if !s.all[i].used && !s.deletedNow() {
				n.all[i] = part{used: true, state: stateLive, created: s.now, active: s.now}
				p.idle() // a janitor that wants the lock will find another entry
				p.own, p.entry, p.held, p.owns = uint8(i), strong, p.held|1<<i, p.owns|1<<i
				step("process 0", "looks the series up, which is a new one", n)
				return
			}
		}
	}
}

// cleanUp gives an unreachable record away, if it has nothing that was not counted yet. No
// update can follow.
func (m ttl) cleanUp(s *ttlState, i int) {
	p, o := &s.processes[0], &s.all[i]
	if int(p.own) == i {
		p.idle() // a janitor that wants the lock will find another entry
	}
	changed := o.count - o.snapshot
	switch {
	case o.deleted || changed == 0 || m.spoiled == "no comparison when a handle is gone":
		if o.fresh > 0 {
			s.fault = lost
		}
		if int(p.own) == i {
			p.entry = noEntry
		}
	case int(p.own) == i && p.entry != noEntry:
		o.gone, p.entry = false, strong
		s.lookup = process{at: renewClock, words: o.count, own: p.own, life: o.created, expired: true}
		return
	case p.entry != noEntry: // the new handle's series gets it
		to := &s.all[p.own]
		to.count, to.sum, to.fresh = to.count+changed, to.sum+changed, to.fresh+o.fresh
	default: // it was deleted later
	}
	*o = part{}
	p.owns &^= 1 << i
}

// oneHandle checks that the handles that can be reached are of one series, but for deleted ones.
func (s *ttlState) oneHandle() bool {
	p := &s.processes[0]
	reachable := p.held
	if p.entry == strong {
		reachable |= 1 << p.own
	}
	for i := range s.all[:parts] {
		if s.all[i].deleted {
			reachable &^= 1 << i
		}
	}
	return reachable&(reachable-1) == 0
}
