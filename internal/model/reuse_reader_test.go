//go:build !race

package model

// readerStep is what a reader does next.
type readerStep uint8

const (
	readerIdle readerStep = iota
	loadGen
	loadShape
	loadLength
	loadState
	loadCreated
	loadRemoved
	loadBody
	loadStateAgain
	loadShapeAgain
	loadValue
	lookAtClock
	recheckState
	recheckCreated
	recheckShape
)

var readerNames = [...]string{
	readerIdle:     "0: t0",
	loadGen:        "1: gen",
	loadShape:      "1: shape",
	loadLength:     "1: a record's length",
	loadState:      "2: its checksum and state",
	loadCreated:    "2: created",
	loadRemoved:    "2: copies removed",
	loadBody:       "2: copies labels and cells",
	loadStateAgain: "2: checksum and state again",
	loadShapeAgain: "1: shape again",
	loadValue:      "3: a value",
	lookAtClock:    "3: t1",
	recheckState:   "4: state of a removed part",
	recheckCreated: "4: created of a removed part",
	recheckShape:   "4: shape",
}

// maxWalks is how often a scrape tries to walk the block.
const maxWalks = 2

// read does the reader's next step.
func (m reuse) read(s *reuseState) {
	m.readStep(s)
	for m.mute(s) {
		m.readStep(s)
	}
}

func (m reuse) readStep(s *reuseState) {
	r, f := &s.r, &s.file
	switch r.at {
	case readerIdle:
		m.beginScrape(r, f)
	case loadGen:
		if r.gen, r.at = f.gen, loadShape; r.gen == r.knownGen {
			// Nothing has changed: the walk is left out.
			r.gen, r.at, r.knownAge = 0, loadValue, r.elapsed
		}
	case loadShape:
		if r.shape != f.shape {
			r.before = walk{}
		}
		r.shape, r.walk = f.shape, walk{}
		r.at = loadLength
	case loadLength:
		if r.length = f.block[r.place].length; r.length == 0 || r.place+r.length > places {
			r.walk.damaged = true
			r.at = loadShapeAgain
			break
		}
		r.at = loadState
	case loadState, loadCreated, loadRemoved, loadBody, loadStateAgain:
		s.fault = m.readRecord(r, &f.block[r.place])
	case loadShapeAgain:
		s.fault = m.endWalk(r, f)
	case loadValue:
		if k := &r.known[r.place]; k.state != 0 {
			r.values[r.place] = f.words[k.cell]
		}
		r.nextPlace(loadValue, lookAtClock)
	case lookAtClock:
		r.at = recheckState
		if 2*r.knownAge >= m.lease && m.spoiled != "no clock" {
			s.fault = m.tryAgain(r)
		}
	case recheckState:
		r.copied.state = 0
		if r.known[r.place].state == stateRemoved {
			r.copied.state = f.block[r.place].state
			r.at = recheckCreated
			break
		}
		r.nextPlace(recheckState, recheckShape)
	case recheckCreated:
		state, created := r.copied.state, f.block[r.place].created
		r.copied = record{}
		if m.differs(&r.known[r.place], state, created) {
			s.fault = m.recheckFailed(r)
			break
		}
		r.nextPlace(recheckState, recheckShape)
	case recheckShape:
		if f.shape != r.knownShape && m.spoiled != "no shape after the values" {
			s.fault = m.recheckFailed(r)
			break
		}
		s.fault = m.accept(r, f)
	}
}

// forget makes states equal whose differences no longer matter: what a counter was before it
// moved, and what a series had to be before it was something else.
func (r *scrape) forget(f *fileState) {
	grow := func(loaded, known *uint8, now uint8) {
		same := *loaded == *known
		if *loaded != 0 && *loaded != now {
			*loaded = old
		}
		if same {
			*known = *loaded
		} else if *known != 0 && *known != now {
			*known = older
		}
	}
	grow(&r.gen, &r.knownGen, f.gen)
	grow(&r.shape, &r.knownShape, f.shape)
	for id, s := range f.series {
		if s.phase != alive {
			r.mustLive &^= 1 << id
		}
	}
}

// What a counter was in the past. Counters begin with 1 or 2, and 0 is none.
const old, older = 255, 254

// beginScrape takes t0, and notes what the scrape has to show.
func (m reuse) beginScrape(r *scrape, f *fileState) {
	r.at, r.place, r.elapsed, r.walks, r.kept, r.moved = loadGen, 0, 0, 0, false, false
	r.mustLive, r.mustRemoved = 0, 0
	for id, s := range f.series {
		switch s.phase {
		case alive:
			r.mustLive |= 1 << id
		case removed:
			r.mustRemoved |= 1 << id
		}
	}
}

// mute reports whether the next step looks at nothing that may change. Such steps are done with the one
// before: apart, they would only multiply the states.
func (m reuse) mute(s *reuseState) bool {
	r := &s.r
	switch known := r.known[r.place].state; r.at {
	case loadLength, loadState, loadCreated, loadRemoved, loadBody, loadStateAgain:
		return r.place == s.file.series[m.neighbour].place
	case loadValue:
		return known == 0 || r.known[r.place].cell == s.file.series[m.neighbour].cell
	case recheckState:
		return known != stateRemoved
	}
	return false
}

// nextPlace goes to the next place with the same step, or after the last one to another.
func (r *scrape) nextPlace(same, after readerStep) {
	r.at = same
	if r.place++; r.place == places {
		r.at, r.place = after, 0
	}
}

// readRecord looks at the record at r.place: one that is known is left, others are copied. One
// that makes no sense is being written, unless nothing moves: then it is damaged.
func (m reuse) readRecord(r *scrape, p *place) fault {
	switch r.at {
	case loadState:
		r.sum, r.copied.state = p.sum, p.state
		if r.at = loadCreated; p.state != stateLive && p.state != stateRemoved {
			r.nextRecord(record{})
		}
	case loadCreated:
		r.copied.created = p.created
		k := &r.known[r.place]
		if r.at = loadRemoved; k.state == r.copied.state && k.created == r.copied.created {
			r.nextRecord(*k)
		}
	case loadRemoved:
		if r.at = loadBody; r.copied.state == stateRemoved {
			r.copied.removed = p.removed
		}
	case loadBody:
		r.copied.label, r.copied.cell = p.label, p.cell
		r.at = loadStateAgain
	case loadStateAgain:
		c := r.copied
		sound := p.sum == checksum(r.length, c.label, c.cell) || m.spoiled == "no checksum"
		same := p.state == c.state || m.spoiled == "no state after the copy"
		timed := c.state != stateRemoved || c.removed != 0 || m.spoiled == "removed may be 0"
		if !sound || !same || !timed {
			c = record{}
			if !r.moved {
				return falseDamage
			}
		}
		r.nextRecord(c)
	}
	return noFault
}

// nextRecord takes a record down, and goes to the next one.
func (r *scrape) nextRecord(found record) {
	r.walk.records[r.place] = found
	r.place += r.length
	r.copied, r.sum, r.length = record{}, 0, 0
	if r.at = loadLength; r.place == places {
		r.at, r.place = loadShapeAgain, 0
	}
}

// endWalk decides whether the walk counts.
func (m reuse) endWalk(r *scrape, f *fileState) fault {
	w, before := r.walk, r.before
	r.place, r.walk, r.before = 0, walk{}, walk{}
	w.done = true
	unmoved := f.shape == r.shape || m.spoiled == "no shape after the walk"
	settled := unmoved && (f.shape%2 == 0 || before == w || m.spoiled == "one walk counts")
	switch {
	case settled && w.damaged:
		return falseDamage
	case settled:
		r.known, r.knownGen, r.knownShape, r.knownAge = w.records, r.gen, f.shape, r.elapsed
		if m.spoiled == "t0 after the walk" {
			r.knownAge = 0
		}
		if m.spoiled == "gen after the walk" {
			r.knownGen = f.gen
		}
		r.at, r.walks = loadValue, 0
	case r.walks+1 < maxWalks:
		r.walks++
		r.at = loadShape
		if unmoved {
			r.before = w
		}
	case !r.moved:
		return neverSettles
	default: // what the block had stays
		r.kept, r.walks = true, 0
		r.at = loadValue
	}
	if r.at != loadShape {
		r.gen, r.shape = 0, 0
	}
	return noFault
}

// differs reports whether a removed part is not what it was.
func (m reuse) differs(k *record, state, created uint8) bool {
	switch m.spoiled {
	case "no recheck":
		return false
	case "recheck of created only":
		return created != k.created
	case "recheck of the state only":
		return state != k.state
	}
	return state != k.state || created != k.created
}

// recheckFailed drops the values, and forgets that the block is known: a writer that has stopped
// before it raised gen would make the check fail for ever. Of a block that did not settle, the
// earlier values stay.
func (m reuse) recheckFailed(r *scrape) fault {
	if m.spoiled != "a failed recheck walks no more" {
		r.knownGen = 0
	}
	if r.kept {
		r.end()
		return noFault
	}
	return m.tryAgain(r)
}

// tryAgain begins the scrape again, or gives up: the file is stale.
func (m reuse) tryAgain(r *scrape) fault {
	r.values = [places]uint8{}
	switch {
	case r.again && r.still && !r.moved:
		return neverSettles
	case r.again || !m.retry:
		r.end()
	case m.spoiled == "only the values again":
		r.again, r.at, r.place, r.knownAge, r.elapsed = true, loadValue, 0, 0, 0
	default:
		r.again, r.still, r.at, r.place = true, !r.moved, readerIdle, 0
	}
	return noFault
}

// end ends a scrape, of which nothing stays but what it knows of the block.
func (r *scrape) end() {
	*r = scrape{scrapes: r.scrapes + 1, known: r.known, knownGen: r.knownGen, knownShape: r.knownShape, knownAge: r.knownAge}
}

// accept judges what the scrape shows.
func (m reuse) accept(r *scrape, f *fileState) fault {
	defer r.end()
	shownLive, shownParts := uint8(0), uint8(0)
	for at, k := range r.known {
		if k.state == 0 {
			continue
		}
		s, real := series{}, false
		if k.created > 0 && k.created <= maxSeries {
			s = f.series[k.created]
			real = s.phase != unborn && int(s.place) == at && k.label == labelOf(k.created) && k.cell == s.cell
		}
		switch {
		case !real:
			return falseRecord
		case r.values[at] != k.created:
			return foreignWord
		case k.state == stateRemoved && k.removed != k.created:
			return wrongTime
		case k.state == stateLive:
			shownLive |= 1 << k.created
		default:
			shownParts |= 1 << k.created
		}
	}
	if r.kept {
		return noFault
	}
	for id, s := range f.series {
		bit := uint8(1) << id
		switch {
		case r.mustLive&bit != 0 && s.phase == alive && shownLive&bit == 0:
			return missingLive
		case r.mustRemoved&bit != 0 && shownLive&bit != 0:
			return shownRemoved
		case r.mustRemoved&bit != 0 && s.phase == removed && shownParts&bit == 0:
			return missingRemoved
		}
	}
	return noFault
}
