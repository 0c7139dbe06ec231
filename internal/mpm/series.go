package mpm

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// Series is the handle of one label set in a store. Its words belong to it as long as it is
// reachable, even after Remove.
//
// A caller that keeps only the words must keep the Series reachable while it uses them
// (runtime.KeepAlive after the last access).
//
// The zero value is in no store: it has no words, and its methods do nothing, except that
// after Remove InitSeries refuses it. A Series must not be copied.
type Series struct {
	ref   *SchemaRef // nil in no store
	words *uint64    // the first word; nil for none
	at    location   // of size 0 if the series is lost
	gone  atomic.Bool

	exemplars atomic.Pointer[exemplars] // nil before the first; stored under store.mu
}

// Words returns the cells in the layout of docs/format.md. Access them only atomically.
func (s *Series) Words() []uint64 {
	if s.words == nil {
		return nil
	}
	return unsafe.Slice(s.words, WordsPerSeries(s.ref.schema))
}

// Lost reports whether the words are on the heap because the file was full. No reader sees
// them.
func (s *Series) Lost() bool { return s.ref != nil && s.at.size == 0 }

// Restart publishes a new created time, then calls zero, which resets the words, then
// notifies readers. Concurrent updates count before or after it.
func (s *Series) Restart(t time.Time, zero func(words []uint64)) {
	if s.ref == nil {
		return
	}
	store := s.ref.store
	store.mu.Lock()
	defer store.mu.Unlock()
	if !s.Lost() && !s.gone.Load() {
		storeWord(store.record(s.at), offSerCreated, created(t))
	}
	zero(s.Words())
	s.exemplars.Load().clear()
	store.changed()
}

// Remove removes the series from Reader.Series. Its words stay readable in Reader.Removed.
// They are reused for another series after the handle is unreachable and
// Options.KeepRemoved has passed. Removing twice does nothing.
func (s *Series) Remove() {
	if s.gone.Swap(true) || s.at.size == 0 {
		return
	}
	store := s.ref.store
	free := freeRecord{location: s.at, removed: store.opts.Now()}
	store.mu.Lock()
	rec := store.record(s.at)
	storeWord(rec, offSerRemoved, created(free.removed))
	storeState(rec, offRecState, stateRemoved)
	store.changed()
	free.exemplars = s.exemplars.Load() // none is added after this
	store.mu.Unlock()
	runtime.AddCleanup(s, s.ref.release, free)
}

// location is the position of a series' record and of its words.
type location struct {
	record, cells wordOffset // 0 for no words
	size          uint32     // of the record, in bytes
}

// record returns the record of a series.
func (s *Store) record(at location) []byte { return s.bytes(at.record, int(at.size)) }

// freeRecord is a removed record with its words.
type freeRecord struct {
	location
	exemplars *exemplars // nil for none
	removed   time.Time
}

// maxFreeScan bounds the search for a free record that fits.
const maxFreeScan = 64

func (f *SchemaRef) release(free freeRecord) {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	f.free = append(f.free, free)
}

// takeFree returns a free record with room for size bytes, preferring those that
// were released first.
func (f *SchemaRef) takeFree(size int) (freeRecord, bool) {
	if len(f.free) == 0 {
		return freeRecord{}, false
	}
	until := f.store.opts.Now().Add(-f.store.opts.KeepRemoved)
	for i := range min(len(f.free), maxFreeScan) {
		if free := f.free[i]; int(free.size) >= size && free.removed.Before(until) {
			copy(f.free[1:i+1], f.free[:i]) // keep the order
			f.free = f.free[1:]
			return free, true
		}
	}
	return freeRecord{}, false
}

// reuse publishes r in the place of a removed series. Readers that know the old series see
// a new generation and start again.
func (s *Store) reuse(h *Series, free freeRecord, r seriesRecord) {
	r.cells = free.cells
	rec := make([]byte, free.size)
	r.encode(rec)
	schema := h.ref.schema
	n := WordsPerSeries(schema)
	w := words(s.bytes(free.cells, 8*n), 0, n)
	for i := range w {
		// Readers that have not noticed the removal may still read them.
		atomic.StoreUint64(&w[i], 0)
	}
	initWords(schema, w)
	free.exemplars.clear()
	s.rewrite(s.record(free.location), rec)
	h.words, h.at = unsafe.SliceData(w), free.location
	h.exemplars.Store(free.exemplars)
}

// rewrite replaces the bytes of a removed record of the same length, word by word, and
// publishes it. Length and kind stay. The state becomes live last.
func (s *Store) rewrite(old, rec []byte) {
	dst := words(old, 0, len(rec)/8)
	// Word 0, length and kind, is the same; word 1 is checksum and state.
	for i := 2; i < len(dst); i++ {
		atomic.StoreUint64(&dst[i], le.Uint64(rec[8*i:]))
	}
	crc := le.Uint32(rec[offRecCRC:])
	atomic.StoreUint64(&dst[1], uint64(stateLive)<<32|uint64(crc))
	s.changed()
}
