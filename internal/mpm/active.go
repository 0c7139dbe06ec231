package mpm

import (
	"math"
	"sync"
	"time"
)

// A series with a TTL has a time at which it was last seen to change. It is kept by the clock
// that runs since boot (CLOCK_BOOTTIME), which nobody sets, as a distance from the creation of
// the file. Readers turn it into the time of the wall clock as it is set now. So a series
// expires as long after its last change as it should, even if the clock is set meanwhile.
//
// A store whose clock is an option, or on a system without that clock, goes by the wall
// clock. Then the word in its header is 0.

// clocks returns the wall clock and the clock since boot, of the same moment. ok is false if
// there is none.
func clocks() (wall, boot int64, ok bool) {
	best := int64(math.MaxInt64)
	for range 8 {
		before, known := bootTime()
		now := time.Now().UnixNano()
		after, _ := bootTime()
		if !known {
			return now, 0, false
		}
		if took := after - before; took < best {
			wall, boot, best = now, before+took/2, took
		}
		if best < int64(50*time.Microsecond) {
			break // nobody has stopped us in between
		}
	}
	return wall, boot, true
}

// bootID is that of this boot.
var bootID = sync.OnceValue(func() [16]byte { return currentBootID() })

// active returns the time now, in the form of a record.
func (s *Store) active() uint32 { return s.Moment().units }

// activeUnits turns a time since the file was created into units, of which there are enough
// for nine years. It rounds up: a series is never active before it was created. Otherwise its
// part would begin at active, and later, when that has moved on, at created.
func activeUnits(nanos int64) uint32 {
	return uint32(min((max(nanos, 0)+(1<<activeShift-1))>>activeShift, math.MaxUint32))
}

// clockSet returns by how much the wall clock was set since the file was created. Less than
// two units are not noticed, because clocks cannot be read at the same moment.
func (r *Reader) clockSet() int64 {
	boot := int64(r.word(offBootTime))
	if boot == 0 || r.header.BootID == [16]byte{} || r.header.BootID != bootID() {
		return 0
	}
	wall, now, ok := r.clocks()
	if !ok {
		return 0
	}
	const unit = 1 << activeShift
	set := (wall - now) - (r.header.Created.UnixNano() - boot)
	if d := set - r.set; d <= -2*unit || d >= 2*unit {
		r.set = set &^ (unit - 1)
	}
	return r.set
}

// readActive reads when the series of both lists, which have their numbers, were last seen to
// change. A writer may begin a new life meanwhile: who has loaded active loads created again.
// If it is another one, the series keeps the active of its old life, which is over, and the
// block is walked again.
func (r *Reader) readActive() error {
	p := &r.parser
	if !p.ttl || r.blocks == nil {
		return nil
	}
	base := r.header.Created.UnixNano() + r.clockSet()
	for _, l := range []*numbers{&p.live, &p.removed} {
		if l.base != base {
			l.base = base
			l.actives++
		}
		if more := l.n - len(l.active); more > 0 {
			l.active = append(l.active, make([]uint32, more)...)
		}
		l.active = l.active[:l.n]
		for i := range l.active {
			at := l.records.all[i]
			if !l.sizes[at.schema].ttl || l.labels.all[i] == 0 {
				continue
			}
			block, off := int(at.record/blockWords), uint64(at.record%blockWords)*8
			b := r.blocks[block]
			active := loadState(b, off+offSerActive)
			if int64(loadWord(b, off+offSerCreated)) != l.created[i] {
				p.known[block].renewed = true
				continue
			}
			if l.active[i] != active {
				l.active[i] = active
				l.actives++
			}
		}
	}
	return r.whole()
}
