package mmapstore

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Series is the handle of one label set in a store. While anybody holds it,
// its words belong to it, also after Remove.
//
// A caller that keeps only the words must keep the Series reachable while it
// uses them (runtime.KeepAlive behind the last access).
type Series struct {
	store  *Store
	family *Family
	words  []uint64
	slot   freeSlot
	lost   bool
	gone   atomic.Bool

	exemplars atomic.Pointer[exemplars] // nil before the first; stored under store.mu
}

// Words returns the cells, laid out as docs/format.md says. Access them
// atomically only.
func (s *Series) Words() []uint64 { return s.words }

// Lost reports whether the words lie on the heap, because the file was full:
// no reader sees them.
func (s *Series) Lost() bool { return s.lost }

// Restart publishes a new created time, then calls zero, which sets the
// words back, then tells readers. Updates that run meanwhile are counted
// before or after it.
func (s *Series) Restart(t time.Time, zero func(words []uint64)) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if !s.lost && !s.gone.Load() {
		storeWord(s.slot.rec.block, s.slot.rec.off+offSerCreated, created(t))
	}
	zero(s.words)
	s.exemplars.Load().clear()
	s.store.changed()
}

// Remove takes the series out of Reader.Series. Its words stay readable as
// Reader.Removed, and are used for another series once the handle is
// unreachable and Options.KeepRemoved is over. Removing twice does nothing.
func (s *Series) Remove() {
	if s.gone.Swap(true) || s.lost {
		return
	}
	s.slot.removed = s.store.opts.Now()
	s.store.mu.Lock()
	storeWord(s.slot.rec.block, s.slot.rec.off+offSerRemoved, created(s.slot.removed))
	storeState(s.slot.rec.block, s.slot.rec.off+offRecState, stateRemoved)
	s.store.changed()
	s.slot.exemplars = s.exemplars.Load() // none is added any more
	s.store.mu.Unlock()
	runtime.AddCleanup(s, s.family.release, s.slot)
}

// freeSlot is a removed record with its words.
type freeSlot struct {
	rec   place
	cells cells
	size  int // bytes of the record

	exemplars *exemplars // nil for none
	removed   time.Time
}

// maxFreeScan bounds the search for a fitting slot.
const maxFreeScan = 64

func (f *Family) release(slot freeSlot) {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	f.free = append(f.free, slot)
}

// takeFree returns a slot whose record has room for size bytes, one of those
// that were released first.
func (f *Family) takeFree(size int) (freeSlot, bool) {
	if len(f.free) == 0 {
		return freeSlot{}, false
	}
	until := f.store.opts.Now().Add(-f.store.opts.KeepRemoved)
	for i := range min(len(f.free), maxFreeScan) {
		if slot := f.free[i]; slot.size >= size && slot.removed.Before(until) {
			copy(f.free[1:i+1], f.free[:i]) // the order stays
			f.free = f.free[1:]
			return slot, true
		}
	}
	return freeSlot{}, false
}

// reuse publishes r in the place of a removed series. Readers that knew the
// old one see the generation move, and begin again.
func (s *Store) reuse(f *Family, slot freeSlot, r seriesRecord) (*Series, error) {
	r.cells = slot.cells.index
	rec, err := r.encode(slot.size)
	if err != nil {
		return nil, err
	}
	initWords(f.schema, slot.cells.words)
	slot.exemplars.clear()
	s.rewrite(slot.rec, rec)
	out := &Series{store: s, family: f, words: slot.cells.words, slot: slot}
	out.exemplars.Store(slot.exemplars)
	return out, nil
}

// rewrite replaces the bytes of a removed record of the same length, word by
// word, and publishes it. Its length and kind stay; the state goes live last.
func (s *Store) rewrite(at place, rec []byte) {
	dst := words(at.block, at.off, len(rec)/8)
	// Word 0, length and kind, is the same; word 1 is checksum and state.
	for i := 2; i < len(dst); i++ {
		atomic.StoreUint64(&dst[i], le.Uint64(rec[8*i:]))
	}
	crc := le.Uint32(rec[offRecCRC:])
	atomic.StoreUint64(&dst[1], uint64(stateLive)<<32|uint64(crc))
	s.changed()
}
