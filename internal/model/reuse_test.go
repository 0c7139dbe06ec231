//go:build !race

package model

import (
	"slices"
	"testing"
)

// reuse is the reuse model: a file, its writer, a reader, a clock.
type reuse struct {
	lease      uint8  // KeepRemoved, in ticks
	lastSeries uint8  // the number of the last one that is added
	scrapes    uint8  // of the reader
	neighbour  uint8  // a series that is never removed
	retry      bool   // a scrape that failed begins a second time
	spoiled    string // the fault that the model has, "" for none
	frozen     map[fileState]fault
}

func newReuse(spoiled string) reuse {
	return reuse{lease: 1, lastSeries: 4, scrapes: 1, neighbour: 3, spoiled: spoiled, frozen: map[fileState]fault{}}
}

// starts returns blocks of three short records, and of a long one and a short one. The last
// record is the neighbour, whom nothing that happens to the others may hurt. The first is live
// or removed, and the reader knows nothing or all of it.
func (m reuse) starts() (out []reuseState) {
	for _, lengths := range [][]uint8{{1, 1, 1}, {2, 1}} {
		s := reuseState{file: m.newFile(lengths)}
		r := s
		r.file.gen++
		r.file.series[1].phase = removed
		r.file.block[0].state, r.file.block[0].removed = stateRemoved, 1
		for _, s := range []reuseState{s, r} {
			out = append(out, s)
			for s.r.scrapes == 0 {
				m.read(&s)
			}
			s.r.scrapes = 0
			out = append(out, s)
		}
	}
	return out
}

func (m reuse) newFile(lengths []uint8) fileState {
	f := fileState{gen: 1, shape: 2}
	at := uint8(0)
	for i, length := range lengths {
		id, cell := uint8(i+1), uint8(i)
		if i == len(lengths)-1 {
			id = m.neighbour
		}
		f.series[id] = series{phase: alive, place: at, cell: cell, length: length, held: true}
		f.words[cell] = id
		f.block[at] = place{length, checksum(length, labelOf(id), cell), stateLive, id, 0, labelOf(id), cell}
		at += length
	}
	for cell := len(lengths); cell < places; cell++ {
		f.freeWords |= 1 << cell
	}
	return f
}

func (m reuse) steps(s reuseState, step func(who, what string, next reuseState)) {
	if s.fault != noFault {
		return
	}
	m.writerSteps(s.file, func(who, what string, next fileState) {
		n := s
		n.file = next
		n.r.moved = n.r.at != readerIdle
		n.r.forget(&n.file)
		step(who, what, n)
	})
	if s.r.scrapes < m.scrapes {
		n := s
		m.read(&n)
		step("reader", readerNames[s.r.at], n)
	}
	if n := s; m.tick(&n) {
		step("clock", "a tick", n)
	}
}

// tick lets time pass, and reports whether anybody notices.
func (m reuse) tick(s *reuseState) bool {
	before := *s
	for i := range s.file.series {
		if e := &s.file.series[i]; e.phase == removed || e.phase == removing && m.early(&s.file) {
			e.age = min(e.age+1, m.lease)
		}
	}
	if s.r.at != readerIdle {
		s.r.elapsed = min(s.r.elapsed+1, (m.lease+1)/2)
	}
	s.r.knownAge = min(s.r.knownAge+1, (m.lease+1)/2)
	if *s == before {
		return false
	}
	s.r.moved = s.r.at != readerIdle
	return true
}

// early reports whether the writer, with a fault, has looked at the clock already.
func (m reuse) early(f *fileState) bool {
	return m.spoiled == "the clock before state 2" || m.spoiled == "the clock before gen" && f.step == 2
}

// broken judges a state, also as the one that a kill leaves: the file moves no more, and a
// reader comes that knows nothing of it.
func (m reuse) broken(s reuseState) string {
	if s.fault != noFault {
		return faultNames[s.fault]
	}
	for id, e := range s.file.series {
		if e.phase >= alive && e.held && s.file.words[e.cell] != uint8(id) {
			return "an update goes to a word of another series"
		}
	}
	why, known := m.frozen[s.file]
	if !known {
		for n := (reuseState{file: s.file}); n.r.scrapes == 0 && why == noFault; why = n.fault {
			m.read(&n)
		}
		m.frozen[s.file] = why
	}
	if why != noFault {
		return "after a kill here: " + faultNames[why]
	}
	return ""
}

// created returns the created time of a series.
func (m reuse) created(id uint8) uint8 {
	if m.spoiled == "created not raised" {
		return (id-1)%3 + 1
	}
	return id
}

// TestReuse: no invariant of reuse breaks, and every step happens.
func TestReuse(t *testing.T) {
	systems := []func(*reuse){func(*reuse) {}}
	if modelSize(t) > 1 {
		systems = append(systems,
			func(m *reuse) { m.retry = true },
			func(m *reuse) { m.retry, m.lease = true, 2 },
			func(m *reuse) { m.lastSeries = 5 })
	}
	for _, change := range systems {
		m := newReuse("")
		change(&m)
		r := holds(t, m)
		requireTaken(t, slices.Concat(
			slices.DeleteFunc(slices.Clone(storeNames[1:]), func(s string) bool { return s == storeNames[storeSum] }),
			readerNames[:],
			[]string{"a tick"},
		), r)
	}
}
