package mpm

import (
	"iter"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/multiprom/multiprom/internal/histogram"
)

// regionList are the regions of a native series, in the order in which they were made. It
// outlives the handle. The store's lock guards it.
type regionList struct {
	store *Store
	all   []storedRegion
	heap  *histogram.Heap // of a lost series; nil for none
}

// storedRegion is where the record and the words of a region are.
type storedRegion struct{ record, cells wordOffset }

type regionWords = [histogram.RegionBuckets]uint64

// words yields the words of all regions; l may be nil. The store's lock is held.
func (l *regionList) words() iter.Seq[*regionWords] {
	return func(yield func(*regionWords) bool) {
		if l == nil {
			return
		}
		for _, r := range l.all {
			if !yield(l.store.line(r.cells)) {
				return
			}
		}
		for r := range l.heap.Regions() {
			if !yield(r.Counts) {
				return
			}
		}
	}
}

// zero sets the words of all regions to 0.
func (l *regionList) zero() {
	for w := range l.words() {
		for i := range w {
			atomic.StoreUint64(&w[i], 0)
			l.store.hook()
		}
	}
}

// subtract takes from the words of all regions what they were.
func (l *regionList) subtract(old []uint64) {
	for w := range l.words() {
		if len(old) == 0 {
			return
		}
		for i := range w {
			if old[i] != 0 {
				atomic.AddUint64(&w[i], -old[i])
			}
		}
		old = old[len(w):]
	}
}

// line returns the words of a region.
func (s *Store) line(at wordOffset) *regionWords {
	return (*regionWords)(unsafe.Pointer(unsafe.SliceData(s.bytes(at, cacheLine))))
}

// regionList returns the regions of a native series, or nil.
func (s *Series) regionList() *regionList {
	if a := s.attached.Load(); a != nil {
		return a.regions
	}
	return nil
}

// AddRegion adds a region to a native series and returns its words, which are zero. They are
// valid as long as those of the series. If there is no space, or the store is closed, it
// returns nil, and counts an observation that is lost at FallbackSeries. A series that is lost
// itself has its regions on the heap too. The region's Counts do not matter.
//
// Calls for one series must not add the same region twice.
func (s *Series) AddRegion(r histogram.Region) *regionWords {
	if s.ref == nil {
		return new(regionWords)
	}
	store := s.ref.store
	if s.at.size > 0 && store.withoutRegions() {
		store.Count(FallbackSeries, 1)
		return nil
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	l := s.regionList()
	if s.at.size == 0 {
		if l.heap == nil {
			l.heap = new(histogram.Heap)
		}
		return l.heap.AddRegion(r)
	}
	cells, err := wordOffset(0), error(ErrClosed)
	if !store.closed {
		cells, err = store.allocLine()
	}
	if err == nil {
		rec := regionRecord{series: s.at.record, cells: cells, schema: int8(r.Schema), negative: r.Negative, number: r.Number}
		var at wordOffset
		if at, err = store.addRecord(rec.encode()); err == nil {
			l.all = append(l.all, storedRegion{at, cells})
			return store.line(cells)
		}
		store.freeLines.add(cells, lineWords)
	}
	store.noRegions.Store(int64(store.opts.Elapsed() + regionPause))
	store.Count(FallbackSeries, 1)
	return nil
}

// Regions yields the regions of a native series with their words, in the order in which they
// were added. Nothing may be added meanwhile.
func (s *Series) Regions() iter.Seq[histogram.Region] {
	return func(yield func(histogram.Region) bool) {
		l := s.regionList()
		if l == nil {
			return
		}
		l.store.mu.Lock()
		defer l.store.mu.Unlock()
		l.regions(yield)
	}
}

// regions is Regions with the store's lock held.
func (l *regionList) regions(yield func(histogram.Region) bool) {
	for _, at := range l.all {
		r, err := decodeRegion(l.store.bytes(at.record, regionSize))
		if err == nil && !yield(histogram.Region{Schema: int(r.schema), Negative: r.negative, Number: r.number, Counts: l.store.line(at.cells)}) {
			return
		}
	}
	for r := range l.heap.Regions() {
		if !yield(r) {
			return
		}
	}
}

// regionPause is how long no region is added after there was no space for one. Observations
// that need one must not each wait for the filesystem to refuse it.
const regionPause = time.Second

// withoutRegions reports whether there was no space for a region a moment ago.
func (s *Store) withoutRegions() bool {
	until := s.noRegions.Load()
	return until != 0 && int64(s.opts.Elapsed()) < until
}

// allocLine returns the place of the words of a new region, which are zero. Lines of regions
// are in blocks that hold nothing else, and become lines of other regions only.
func (s *Store) allocLine() (at wordOffset, err error) {
	free := s.reclaim(func() (ok bool) {
		at, ok = s.freeLines.takeCells(lineWords)
		return ok
	})
	if free {
		w := s.line(at)
		for i := range w {
			atomic.StoreUint64(&w[i], 0) // readers that have not noticed may still read them
			s.hook()
		}
		return at, nil
	}
	if s.lines.room() < cacheLine {
		if err := s.newBlock(&s.lines, blockCells); err != nil {
			return 0, err
		}
	}
	at = s.lines.take(cacheLine)
	s.publish(&s.lines)
	return at, nil
}

// freeRegions makes the regions of a removed series free space.
func (s *Store) freeRegions(l *regionList) {
	if l == nil {
		return
	}
	for _, r := range l.all {
		s.freeRecord(r.record, int(le.Uint32(s.bytes(r.record, minRecord)[offRecLen:])))
		s.freeLines.add(r.cells, lineWords)
	}
	l.all = nil
}

// AllWords are all words of a series that updates change: its cells and, of a native one, those
// of its regions. They do not keep the series reachable.
type AllWords struct {
	cells   []uint64
	regions *regionList
}

// AllWords returns the words of the series. It has none if it is in no store.
func (s *Series) AllWords() AllWords { return AllWords{s.Words(), s.regionList()} }

// Cells returns the words that every series of the schema has.
func (w AllWords) Cells() []uint64 { return w.cells }

// lock takes the store's lock if the number of words can change.
func (w AllWords) lock() (unlock func()) {
	if w.regions == nil {
		return func() {}
	}
	w.regions.store.mu.Lock()
	return w.regions.store.mu.Unlock
}

// AppendTo appends what the words are. They are in the same order each time; new ones come last.
func (w AllWords) AppendTo(dst []uint64) []uint64 {
	defer w.lock()()
	return w.appendTo(dst)
}

// appendTo is AppendTo with the store's lock held.
func (w AllWords) appendTo(dst []uint64) []uint64 {
	for i := range w.cells {
		dst = append(dst, atomic.LoadUint64(&w.cells[i]))
	}
	for r := range w.regions.words() {
		for i := range r {
			dst = append(dst, atomic.LoadUint64(&r[i]))
		}
	}
	return dst
}

// Same reports whether the words are what they were. A new one was 0.
func (w AllWords) Same(old []uint64) bool {
	for i := range w.cells {
		if atomic.LoadUint64(&w.cells[i]) != old[i] {
			return false
		}
	}
	if w.regions == nil {
		return true
	}
	defer w.lock()()
	old = old[len(w.cells):]
	for r := range w.regions.words() {
		for i := range r {
			was := uint64(0)
			if len(old) > 0 {
				was = old[i]
			}
			if atomic.LoadUint64(&r[i]) != was {
				return false
			}
		}
		old = old[min(len(old), len(r)):]
	}
	return true
}

// subtract takes old from words that are sums. The store's lock is held.
func (w AllWords) subtract(f int, old []uint64) {
	subtract(f, w.cells, old[:len(w.cells)])
	w.regions.subtract(old[len(w.cells):])
}

// NewRegions returns what the regions have counted since the words were old. Their Counts are
// copies.
func (w AllWords) NewRegions(old []uint64) (out []histogram.Region) {
	if w.regions == nil {
		return nil
	}
	defer w.lock()()
	old = old[len(w.cells):]
	for r := range w.regions.regions {
		counts := new(regionWords)
		for i := range counts {
			counts[i] = atomic.LoadUint64(&r.Counts[i])
			if len(old) > 0 {
				counts[i] -= old[i]
			}
		}
		old = old[min(len(old), len(counts)):]
		if r.Counts = counts; *counts != (regionWords{}) {
			out = append(out, r)
		}
	}
	return out
}
