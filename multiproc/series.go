package multiproc

import (
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/multiprom/multiprom/mmapstore"
)

// series is what every instrument of one label set has: its cells, once the
// store is open. C is their shape.
//
// Invariants:
//  1. cells is nil until bound, and set once.
//  2. handle is written before cells and never changes; it is what keeps the
//     cells from being used for another series. Whoever updates cells keeps
//     the series, and so the handle, reachable until it is done.
type series[C any] struct {
	cells  atomic.Pointer[C]
	shape  func([]uint64) *C
	in     *instrument
	values []string
	handle *mmapstore.Series // nil on a discarded series
	gone   bool              // removed before it was bound; guarded by in.set.mu
}

// init makes s a series of in. The Set's lock is held.
func (s *series[C]) init(in *instrument, values []string, shape func([]uint64) *C) {
	s.in, s.values, s.shape = in, values, shape
	if in.set.store.Load() != nil {
		s.bindLocked()
		return
	}
	in.set.unbound = append(in.set.unbound, s)
}

// discard makes s a series whose updates go nowhere.
func (s *series[C]) discard(in *instrument, shape func([]uint64) *C) {
	s.in = in
	s.cells.Store(shape(make([]uint64, mmapstore.WordsPerSeries(in.schema))))
}

// load returns the cells, and opens the store at the first update.
func (s *series[C]) load() *C {
	if c := s.cells.Load(); c != nil {
		return c
	}
	return s.bind()
}

//go:noinline
func (s *series[C]) bind() *C {
	s.in.set.mu.Lock()
	defer s.in.set.unlock()
	s.in.set.open() // binds every series that waits, this one too
	s.bindLocked()
	return s.cells.Load()
}

func (s *series[C]) bindLocked() {
	if s.cells.Load() != nil {
		return
	}
	if s.gone || s.in.family == nil { // family is nil in a closed store
		s.cells.Store(s.shape(make([]uint64, mmapstore.WordsPerSeries(s.in.schema))))
		return
	}
	h, err := s.in.set.store.Load().AddSeries(s.in.family, s.values, nil)
	switch {
	case errors.Is(err, mmapstore.ErrClosed):
		s.cells.Store(s.shape(make([]uint64, mmapstore.WordsPerSeries(s.in.schema))))
	case err != nil:
		// Values are bounded when they are looked up, but not their sum.
		s.in.set.count(countDiscarded)
		s.cells.Store(s.shape(make([]uint64, mmapstore.WordsPerSeries(s.in.schema))))
	default:
		s.handle = h
		s.cells.Store(s.shape(h.Words()))
	}
}

// remove takes the series out of the merged view.
func (s *series[C]) remove() {
	s.in.set.mu.Lock()
	defer s.in.set.mu.Unlock()
	s.gone = true
	if s.handle != nil {
		s.handle.Remove()
	}
	runtime.KeepAlive(s)
}

// restart sets the cells to zero with a new created time.
func (s *series[C]) restart() {
	s.load()
	if s.handle == nil {
		return
	}
	s.handle.Restart(s.in.set.opts.Now(), func(w []uint64) {
		for i := range w {
			atomic.StoreUint64(&w[i], 0)
		}
	})
}

func pair(w []uint64) *[2]uint64 { return (*[2]uint64)(w) }
