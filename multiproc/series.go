package multiproc

import (
	"math"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/multiprom/multiprom/internal/mpm"
)

// series is the first field of every instrument: its words, once the store is open, and its
// key.
//
// Invariants:
//  1. handle is changed under in.set.mu before first is stored, and then only by
//     itself: code that has seen first uses handle without a lock.
//  2. The words are not used for another series while handle is reachable. Code that
//     updates words keeps the series reachable, and handle is part of it, until it is
//     done (keepAlive).
//  3. key is written before the series is in a table, and never again.
type series struct {
	first  unsafe.Pointer // *uint64, the first of in.words words, nil until bound; no atomic.Pointer, with which Inc would not be inlined
	key    key            // its label values, in a Vec; next to first, since a lookup and the update after it read both
	handle mpm.Series     // zero if updates go nowhere; a part of the series, so that both are one allocation
	in     *instrument
}

// init makes s a series of in. b is s, or the instrument that has it. The Set's lock is held,
// and the caller owns values.
func (s *series) init(in *instrument, values []string, b binder) {
	s.in = in
	if in.nowhere || in.set.Opened() {
		b.bindLocked(values)
		return
	}
	in.set.await(b, values)
}

// bound reports whether s has its words.
func (s *series) bound() bool { return atomic.LoadPointer(&s.first) != nil }

// load returns the words, and opens the store at the first update.
func (s *series) load() []uint64 { return unsafe.Slice(s.word(), s.in.words) }

// word returns the first word, for the updates that touch no other.
func (s *series) word() *uint64 {
	if w := atomic.LoadPointer(&s.first); w != nil {
		return (*uint64)(w)
	}
	return s.bind()
}

// keepAlive keeps s reachable up to here. runtime.KeepAlive would store it on the stack, and
// a locked instruction would wait for that.
func (s *series) keepAlive() { atomic.LoadPointer(&s.first) }

// at returns the word i words after w.
func at(w *uint64, i int) *uint64 { return (*uint64)(unsafe.Add(unsafe.Pointer(w), 8*i)) }

// These are first words: callers of word rely on it.
const _ = -uint(mpm.CellCounterInts | mpm.CellGauge | mpm.CellState | mpm.CellHistogramSum)

//go:noinline
func (s *series) bind() *uint64 {
	s.in.set.mu.Lock()
	defer s.in.set.unlock()
	s.in.set.open()   // binds every series that waits
	s.bindLocked(nil) // a series that does not wait was removed
	return (*uint64)(atomic.LoadPointer(&s.first))
}

// bindLocked gives s its words in the store. If s is removed or discarded, or the store is
// closed, it gives s words of its own, which nobody reads.
func (s *series) bindLocked(values []string) {
	if s.bound() {
		return
	}
	var words []uint64
	if s.in.family != nil {
		// Lookups limit the labels, so the store is closed or the series was removed.
		if err := s.in.set.store.Load().InitSeries(&s.handle, s.in.family, values, nil); err == nil {
			words = s.handle.Words()
		}
	}
	if words == nil {
		words = make([]uint64, s.in.words)
	}
	atomic.StorePointer(&s.first, unsafe.Pointer(&words[0]))
}

// remove takes the series out of the merged view.
func (s *series) remove() { s.removeAs(s) }

// removeAs is remove. b is what init was given.
func (s *series) removeAs(b binder) {
	s.in.set.mu.Lock()
	defer s.in.set.mu.Unlock()
	s.handle.Remove()
	if !s.bound() {
		s.in.set.forget(b)
	}
}

// restart sets the words to zero with a new created time.
func (s *series) restart() {
	s.load()
	if v := s.in.expires; v != nil {
		v.restart(s)
		return
	}
	s.restartLocked()
}

// restartLocked is restart. Of a series that may expire, the Vec's lock is held.
func (s *series) restartLocked() {
	s.handle.Restart(s.in.set.opts.Now(), func(w []uint64) {
		for i := range w {
			atomic.StoreUint64(&w[i], 0)
		}
	})
	s.keepAlive()
}

// addFloat adds v to the double in the word at p.
func addFloat(p *uint64, v float64) {
	for {
		old := atomic.LoadUint64(p)
		if atomic.CompareAndSwapUint64(p, old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// recent publishes values with their time, for the mostrecent modes, and counts the updates of
// series with a TTL.
type recent struct {
	on    bool // an update is more than one store
	timed bool
	turn  sync.Mutex // writers take turns, readers need none
}

func (r *recent) store(set *Set, words []uint64, bits uint64) {
	r.turn.Lock()
	defer r.turn.Unlock()
	mpm.StoreRecent(words, bits, set.nanos())
}

// init says what an update of a series is.
func (r *recent) init(in *instrument) {
	r.timed = in.schema.Timed()
	r.on = r.timed || in.schema.TTL > 0
}

// count counts an update of a series with a TTL that is not timed.
func (r *recent) count(words []uint64) {
	if r.on {
		atomic.AddUint64(&words[mpm.CellUpdates], 1)
	}
}
