//go:build !race

package model

// store is one store of the writer. It may do things in its own memory in the same step.
type store uint8

const (
	noStore store = iota
	storeRemoved
	storeStateRemoved
	storeGenOfRemoval
	storeFree
	storeGenOfReclaim
	storeZeroes
	storeShapeBefore
	storeWholeLength
	storeRest
	storeNoRemoved
	storeCreated
	storeLabels
	storeSecondPlace
	storeOwnLength
	storeShapeAfter
	storeLive
	storeSum // only of faults: the checksum and the state apart
	storeGenOfAddition
)

var storeNames = [...]string{
	storeRemoved:       "remove 1: removed",
	storeStateRemoved:  "remove 2: state 2",
	storeGenOfRemoval:  "remove 3: gen; then the clock",
	storeFree:          "reclaim 1: state 3",
	storeGenOfReclaim:  "reclaim 2: gen; record and word are free",
	storeZeroes:        "add: zero the cells",
	storeShapeBefore:   "add 2: shape",
	storeWholeLength:   "add 3: length of the whole stretch",
	storeRest:          "add 4: the rest's header",
	storeNoRemoved:     "add 5: removed is 0",
	storeCreated:       "add 5: created",
	storeLabels:        "add 5: labels, cells",
	storeSecondPlace:   "add 5: labels in the second place",
	storeOwnLength:     "add 6: own length",
	storeShapeAfter:    "add 6: shape",
	storeLive:          "add 7: checksum, live",
	storeSum:           "add 7: checksum",
	storeGenOfAddition: "add 8: gen",
}

// program returns the stores of the operation at work. Step 1 of an addition, state 3, is left
// out: whatever is free has that state.
func (m reuse) program(f *fileState) (p []store) {
	switch s := &f.series[f.id]; f.op {
	case remove:
		p = []store{storeRemoved, storeStateRemoved, storeGenOfRemoval}
	case reclaim:
		p = []store{storeFree, storeGenOfReclaim}
	case add:
		p = []store{storeZeroes}
		if f.reshape {
			p = append(p, storeShapeBefore, storeWholeLength)
			if f.stretch > s.length {
				p = append(p, storeRest)
			}
		}
		p = append(p, storeNoRemoved, storeCreated, storeLabels)
		if s.length == 2 {
			p = append(p, storeSecondPlace)
		}
		if f.reshape {
			p = append(p, storeOwnLength, storeShapeAfter)
		}
		p = append(p, storeLive, storeGenOfAddition)
	}
	return m.spoil(p, f.id)
}

// writerSteps calls step with each thing that the writer, or its application, may do next.
func (m reuse) writerSteps(f fileState, step func(who, what string, next fileState)) {
	if f.op != idle {
		m.doStore(f, step)
		return
	}
	born := uint8(0)
	for i := range f.series[1:] {
		id := uint8(i + 1)
		n := f
		n.id = id
		switch s := &f.series[id]; {
		case s.phase == alive && id != m.neighbour:
			n.op, n.series[id].phase = remove, removing
			m.doStore(n, step)
		case s.phase == removed && (s.age >= m.lease || m.spoiled == "reclaim without waiting"):
			// The last handle was dropped before. It does not matter when.
			n.op, n.series[id].phase = reclaim, reclaiming
			n.series[id].held = m.spoiled == "reclaim while a handle is held"
			m.doStore(n, step)
		}
		if f.series[id].phase != unborn {
			born = id
		}
	}
	if id := born + 1; id <= m.lastSeries {
		m.begin(f, id, step)
	}
}

// begin begins additions, at every place and of every word that is free.
func (m reuse) begin(f fileState, id uint8, step func(who, what string, next fileState)) {
	for at := range uint8(places) {
		if f.free>>at&1 == 0 || at > 0 && f.free>>(at-1)&1 == 1 {
			continue // neighbours join: a stretch begins only once
		}
		stretch := uint8(1)
		for at+stretch < places && f.free>>(at+stretch)&1 == 1 {
			stretch++
		}
		for length := uint8(1); length <= min(stretch, 2); length++ {
			for cell := range uint8(places) {
				if f.freeWords>>cell&1 == 0 {
					continue
				}
				n := f
				n.op, n.id, n.stretch = add, id, stretch
				n.reshape = stretch != length || f.block[at].length != length
				n.series[id] = series{phase: adding, place: at, length: length, cell: cell, held: true}
				n.free &^= (1<<length - 1) << at
				n.freeWords &^= 1 << cell
				m.doStore(n, step)
			}
		}
	}
}

// doStore does the next store of the operation at work.
func (m reuse) doStore(f fileState, step func(who, what string, next fileState)) {
	program := m.program(&f)
	what := program[f.step]
	s := &f.series[f.id]
	p := &f.block[s.place]
	switch what {
	case storeRemoved:
		p.removed = f.id
	case storeStateRemoved:
		p.state = stateRemoved
	case storeFree:
		p.state = stateFree
	case storeGenOfRemoval, storeGenOfReclaim, storeGenOfAddition:
		f.gen++
	case storeZeroes:
		f.words[s.cell] = f.id
	case storeShapeBefore, storeShapeAfter:
		f.shape++
	case storeWholeLength:
		p.length = f.stretch
	case storeRest:
		f.block[s.place+s.length].length, f.block[s.place+s.length].state = f.stretch-s.length, stateFree
	case storeNoRemoved:
		p.removed = 0
	case storeCreated:
		p.created = m.created(f.id)
	case storeLabels:
		p.label, p.cell = labelOf(f.id), s.cell
	case storeOwnLength:
		p.length = s.length
	case storeLive:
		p.state = stateLive
		if m.spoiled != "state before checksum" {
			p.sum = checksum(s.length, labelOf(f.id), s.cell)
		}
	case storeSum:
		p.sum = checksum(s.length, labelOf(f.id), s.cell)
	case storeSecondPlace:
		m.forge(f, func(n fileState) { m.finish(n, program, what, step) })
		return
	}
	m.finish(f, program, what, step)
}

// finish goes to the next store, or ends the operation.
func (m reuse) finish(f fileState, program []store, what store, step func(who, what string, next fileState)) {
	s := &f.series[f.id]
	if f.step++; int(f.step) < len(program) {
		step("writer", storeNames[what], f)
		return
	}
	switch f.op {
	case remove:
		s.phase = removed
		if m.spoiled != "the clock before state 2" && m.spoiled != "the clock before gen" {
			s.age = 0
		}
	case reclaim:
		s.phase = reclaimed
		f.freeWords |= 1 << s.cell
		if f.block[s.place].state != stateFree && m.spoiled == "cells freed under a removed record" {
			break
		}
		f.free |= (1<<s.length - 1) << s.place
	case add:
		s.phase = alive
	}
	f.op, f.id, f.step, f.stretch, f.reshape = idle, 0, 0, 0, false
	step("writer", storeNames[what], f)
}

// forge writes labels into a record's second place. They look like no record, or like a record
// that readers have seen there.
func (m reuse) forge(f fileState, write func(fileState)) {
	at := f.series[f.id].place + 1
	n := f
	n.block[at] = place{}
	write(n)
	for id := f.id - 1; id > 0; id-- {
		s := &f.series[id]
		if s.phase == reclaimed && s.place == at {
			for _, state := range []uint8{stateLive, stateRemoved} {
				label := labelOf(id)
				n.block[at] = place{s.length, checksum(s.length, label, s.cell), state, id, id, label, s.cell}
				write(n)
			}
			return
		}
	}
}
