//go:build !race

package model

// compaction is a pass of the compactor.
type compaction struct {
	at    passStep
	other uint8
	t     uint8 // of its clock, before it looks
	dead  uint8 // the parts that it can take, a bit each
	spans [parts]span
}

type passStep uint8

const (
	passIdle passStep = iota
	passRead
	passCommit
)

var passNames = [...]string{
	passIdle:   "looks at the clock: t",
	passRead:   "reads a part",
	passCommit: "renames the archive",
}

func (m ttl) compactorSteps(s ttlState, step func(who, what string, next ttlState)) {
	if s.pass.at == passIdle && !s.all[parts].used && !s.all[0].dead && !s.all[1].dead && !s.all[2].dead {
		return
	}
	p := &s.pass
	what := passNames[p.at]
	switch p.at {
	case passIdle:
		p.t, p.at = s.now, passRead
	case passRead:
		if o := &s.all[p.other]; o.used {
			p.spans[p.other] = m.span(o)
			if o.dead {
				p.dead |= 1 << p.other
			}
		}
		if p.other++; p.other == parts {
			p.other, p.at = 0, passCommit
		}
	case passCommit:
		m.commit(&s)
		s.pass = compaction{}
	}
	step("compactor", what, s)
}

// commit puts what has not ended of the archive and of the dead into the new archive, and drops
// what has. One archive has one life: parts of another one stay for the next pass.
func (m ttl) commit(s *ttlState) {
	p := &s.pass
	if m.spoiled == "clock of the pass after it has read" {
		p.t = s.now
	}
	all := [parts + 1]span{}
	copy(all[:], p.spans[:])
	if a := &s.all[parts]; a.used {
		all[parts] = m.span(a)
	}
	var lives [parts + 1]uint8
	first, which := uint8(255), uint8(0)
	for i, of := range all {
		taken := i == parts && s.all[parts].used || p.dead>>i&1 == 1
		if !taken {
			continue
		}
		life, in := m.life(all[:], of)
		if m.spoiled == "the pass goes by each part's end" {
			life.to = of.to
		}
		o := &s.all[i]
		held := o.state == stateRemoved && o.removed+holdsLife > p.t // the archive does not know what is removed
		switch {
		case held && m.spoiled != "the archive forgets removals":
		case life.to <= p.t:
			s.all[i] = part{}
		default:
			lives[i] = in | 1<<i
			if i == parts || life.from < first {
				first, which = life.from, in|1<<i
			}
		}
	}
	sum := part{}
	for i, in := range lives {
		if o := &s.all[i]; in != 0 && (in&which != 0 || m.spoiled == "the pass takes parts of several lives") {
			sum.add(m, o)
			*o = part{}
		}
	}
	s.all[parts] = sum
}

// add adds a part to what becomes the archive's.
func (p *part) add(m ttl, o *part) {
	active := m.span(o).to - endAfter
	if m.spoiled == "the archive forgets removals" {
		active = o.active
	}
	if !p.used {
		*p = part{used: true, dead: true, state: stateLive, created: o.created, active: active}
	}
	p.created, p.active = min(p.created, o.created), max(p.active, active)
	if m.spoiled == "the archive keeps the oldest active" {
		p.active = min(p.active, active)
	}
	p.count, p.sum = p.count+o.count, p.sum+o.sum
}
