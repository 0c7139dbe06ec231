package mpm

import (
	"time"

	"github.com/multiprom/multiprom/metric"
)

// removedSeries is what a removed series leaves, to become free space.
type removedSeries struct {
	location
	schema   *metric.Schema
	attached *attached     // nil for nothing
	removed  time.Duration // by Options.Elapsed
}

// reclaimQueue has the removed series whose handles are gone, in the order of their release.
type reclaimQueue struct {
	all  []removedSeries
	next int // index of the first that is in the queue
}

func (q *reclaimQueue) len() int { return len(q.all) - q.next }

func (q *reclaimQueue) push(r removedSeries) { q.all = append(q.all, r) }

func (q *reclaimQueue) pop() removedSeries {
	r := q.all[q.next]
	q.all[q.next] = removedSeries{}
	if q.next++; 2*q.next > len(q.all) {
		q.all = append(q.all[:0], q.all[q.next:]...)
		clear(q.all[len(q.all):cap(q.all)][:q.next])
		q.next = 0
	}
	return r
}

// release queues a removed series whose handle is gone.
func (s *Store) release(r removedSeries) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.push(r)
}

// Released returns how many removed series wait to be reclaimed: their handles are gone.
func (s *Store) Released() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.len()
}

// reclaimSome makes a few removed series free space whose time has come, although nobody needs
// it yet: until then readers have them in memory, and they may be many after a peak.
func (s *Store) reclaimSome() {
	const some = 4 // more than come
	now := s.opts.Elapsed()
	for range some {
		if !s.overdue(now) {
			return
		}
		s.makeFree(s.queue.pop())
	}
}

// Reclaim makes all removed series free space whose time has come (see reclaimSome).
func (s *Store) Reclaim() {
	for more := true; more; {
		s.mu.Lock()
		s.reclaimSome()
		more = !s.closed && s.overdue(s.opts.Elapsed())
		s.mu.Unlock()
	}
}

// overdue reports whether a removed series may become free space.
func (s *Store) overdue(now time.Duration) bool {
	return s.queue.len() > 0 && now-s.queue.all[s.queue.next].removed >= s.opts.KeepRemoved
}

// maxReclaim is how many series one new series reclaims at most, so that it does not wait
// for long. It needs far fewer on average.
const maxReclaim = 256

// reclaim makes removed series free space, as many as it may, until enough returns true. It
// returns the last result of enough.
func (s *Store) reclaim(enough func() bool) bool {
	if enough() {
		return true
	}
	now := s.opts.Elapsed()
	for range maxReclaim {
		if !s.overdue(now) {
			return false
		}
		s.makeFree(s.queue.pop())
		if enough() {
			return true
		}
	}
	return false
}

// makeFree makes the record, the exemplars, the regions and the words of a removed series free
// space (docs/format.md, "Publication", 4).
func (s *Store) makeFree(r removedSeries) {
	s.freeRecord(r.record, int(r.size))
	for c := range r.attached.cells() {
		c.store(0, 0, nil, 0)
		s.hook()
		s.freeRecord(c.record, c.size())
	}
	if r.attached != nil {
		s.freeRegions(r.attached.regions)
	}
	if r.cells != 0 {
		s.freeCells.add(r.cells, cellsSize(r.schema))
	}
	s.noExemplars.Store(false)
	s.noRegions.Store(0)
}

// freeRecord makes a record free space.
func (s *Store) freeRecord(at wordOffset, size int) {
	rec := s.bytes(at, size)
	s.putState(rec, stateFree)
	if head := recordHead(size, kindSeries); loadWord(rec, offRecLen) != head {
		s.put(rec, offRecLen, head)
	}
	s.changed(at)
	s.freeMeta.add(at, size/8)
}

// takeFree takes a stretch of free records with room for a record of size bytes, and reclaims
// removed series if there is none. length is that of the stretch. odd says that the record
// may be 8 bytes longer.
func (s *Store) takeFree(size int, odd bool) (at wordOffset, length int, ok bool) {
	ok = s.reclaim(func() bool {
		at, length, ok = s.freeMeta.take(size/8, odd)
		return ok
	})
	return at, 8 * length, ok
}

// takeFreeCells takes n free words, if lines is set in cache lines of their own.
func (s *Store) takeFreeCells(n int, lines bool) (at wordOffset, ok bool) {
	ok = s.reclaim(func() bool {
		if lines {
			at, ok = s.freeCells.takeLines(n)
		} else {
			at, ok = s.freeCells.takeCells(n)
		}
		return ok
	})
	return at, ok
}

// recordSize returns the size of a record that needs size bytes and is written to a stretch
// of that length. A rest that is too short for a free record becomes part of the record.
func recordSize(size, length int) int {
	if length-size < minRecord {
		return length
	}
	return size
}

// fill publishes a record at the front of a stretch of free records of that length
// (docs/format.md, "Publication", 5).
func (s *Store) fill(at wordOffset, length int, rec []byte) {
	b := s.bytes(at, length)
	moves := loadWord(b, offRecLen) != recordHead(len(rec), kindSeries) // where records begin
	if moves {
		s.count(at, offBlockShape)
		s.put(b, offRecLen, recordHead(length, kindSeries))
		if rest := length - len(rec); rest > 0 {
			s.put(b[len(rec):], offRecCRC, stateFree<<32)
			s.put(b[len(rec):], offRecLen, recordHead(rest, kindSeries))
		}
	}
	for off := minRecord; off < len(rec); off += 8 {
		s.put(b, uint64(off), le.Uint64(rec[off:]))
	}
	if head := le.Uint64(rec); loadWord(b, offRecLen) != head {
		s.put(b, offRecLen, head)
	}
	if moves {
		s.count(at, offBlockShape)
	}
	s.put(b, offRecCRC, le.Uint64(rec[offRecCRC:])) // with the state
	s.changed(at)
	s.freeMeta.giveBack(at+wordOffset(len(rec)/8), (length-len(rec))/8)
}

// putState stores the state of a record.
func (s *Store) putState(rec []byte, state uint32) {
	storeState(rec, offRecState, state)
	s.hook()
}
