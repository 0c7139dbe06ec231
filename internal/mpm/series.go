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

	attached atomic.Pointer[attached] // nil before the first exemplar; of a native series never; stored under store.mu
}

// attached is what a series has besides its record and its words.
type attached struct {
	exemplars []atomic.Pointer[exemplarCells] // by bucket, a counter has one; none before the first exemplar
	regions   *regionList                     // of a native series
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

// Gone reports whether the series was removed or has expired.
func (s *Series) Gone() bool { return s.gone.Load() }

// Restart publishes a new created time, then calls zero, which resets the words, then resets
// those of regions, then notifies readers. Concurrent updates count before or after it.
func (s *Series) Restart(t time.Time, zero func(words []uint64)) {
	if s.ref == nil {
		return
	}
	store := s.ref.store
	store.mu.Lock()
	defer store.mu.Unlock()
	if s.Lost() || s.gone.Load() {
		zero(s.Words())
		s.regionList().zero()
		s.attached.Load().clear()
		return
	}
	store.put(store.first, offResets, loadWord(store.first, offResets)+1)
	store.put(store.record(s.at), offSerCreated, uint64(store.newCreated(t)))
	zero(s.Words())
	s.regionList().zero()
	if s.ref.schema.TTL > 0 {
		storeState(store.record(s.at), offSerActive, store.active())
	}
	s.attached.Load().clear()
	store.changed(s.at.record)
	store.put(store.first, offResets, loadWord(store.first, offResets)+1)
}

// Remove removes the series from a Reader's live series. Its words stay readable as those of
// a removed one. They and the record are used again after the handle is unreachable and
// Options.KeepRemoved has passed. Removing twice does nothing.
func (s *Series) Remove() {
	if r, ok := s.remove(); ok {
		runtime.AddCleanup(s, s.ref.store.release, r)
	}
}

// remove is Remove without the release, which must not come before the handle is unreachable.
func (s *Series) remove() (r removedSeries, ok bool) {
	if s.gone.Swap(true) || s.at.size == 0 {
		return r, false
	}
	store := s.ref.store
	now := store.opts.Now().UnixNano()
	store.mu.Lock()
	defer store.mu.Unlock()
	rec := store.record(s.at)
	// A clock that was set back does not remove a series before it was created.
	store.put(rec, offSerRemoved, uint64(max(now, int64(loadWord(rec, offSerCreated)))))
	store.putState(rec, stateRemoved)
	store.changed(s.at.record)
	// The clock is read after the change was published: from then on every reader has
	// KeepRemoved to notice it, however long this process was stopped before.
	r = removedSeries{location: s.at, schema: s.ref.schema, removed: store.opts.Elapsed()}
	r.attached = s.attached.Load() // no exemplar is added after this, but regions may be
	return r, true
}

// location is the position of a series' record and of its words.
type location struct {
	record, cells wordOffset // 0 for no words
	size          uint32     // of the record, in bytes
}

// record returns the record of a series.
func (s *Store) record(at location) []byte { return s.bytes(at.record, int(at.size)) }
