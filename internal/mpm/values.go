package mpm

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/multiprom/multiprom/metric"
)

// span is a range of a block with the words of one series, or of many series that were added
// one after the other.
type span struct {
	at     wordOffset
	n      uint32
	recent bool // of one series whose words are not plain values
}

// addSpan notes the position of the n words of a series.
func (p *parser) addSpan(s *metric.Schema, at wordOffset, n int) {
	recent := s.Timed()
	p.values += ValuesPerSeries(s)
	if n == 0 {
		return
	}
	if !recent && len(p.spans) > 0 {
		// Adjacent words are in the same block, because there is a header between blocks.
		if last := &p.spans[len(p.spans)-1]; !last.recent && last.at+wordOffset(last.n) == at {
			last.n += uint32(n)
			return
		}
	}
	p.spans = append(p.spans, span{at, uint32(n), recent})
}

// ValuesPerSeries returns how many words AppendValues appends for a series of that schema.
func ValuesPerSeries(s *metric.Schema) int {
	if s.Timed() {
		return 2
	}
	return WordsPerSeries(s)
}

// size returns the number of values of the span.
func (s *span) size() int {
	if s.recent {
		return 2
	}
	return int(s.n)
}

// AppendValues appends the words of all of Series in order, without the first skip words. For
// a mostrecent series it appends only the bits of the value and its time in nanoseconds
// since 1970, which is 0 if it was never set. Call it within Guard.
func (r *Reader) AppendValues(dst []uint64, skip int) []uint64 {
	dst = slices.Grow(dst, max(0, r.parser.values-skip))
	for _, s := range r.parser.spans {
		n := s.size()
		if skip >= n {
			skip -= n
			continue
		}
		if s.recent {
			values := recentValues(r.words(s.at, int(s.n)))
			dst = append(dst, values[skip:]...)
		} else {
			from := len(dst)
			dst = dst[:from+n-skip]
			loadAll(dst[from:], r.words(s.at, int(s.n))[skip:])
		}
		skip = 0
	}
	return dst
}

// Change is a value that has changed.
type Change struct {
	At   int // its index in the result of AppendValues
	Word uint64
}

// AppendChanges appends what has changed since AppendValues returned known, in the order of
// At, if the Epoch is still the same. It omits values that are new since then. Call it
// within Guard.
//
// In most scrapes, most values are those of the scrape before. Comparing them writes
// nothing.
func (r *Reader) AppendChanges(dst []Change, known []uint64) []Change {
	at := 0
	for _, s := range r.parser.spans {
		n := min(s.size(), len(known)-at)
		if n == 0 {
			break
		}
		old := known[at:][:n]
		if s.recent {
			values := recentValues(r.words(s.at, int(s.n)))
			for i := range old {
				if values[i] != old[i] {
					dst = append(dst, Change{at + i, values[i]})
				}
			}
		} else {
			dst = appendChanges(dst, at, old, r.words(s.at, n))
		}
		at += n
	}
	return dst
}

// appendChanges compares words with their old values, a range at a time.
func appendChanges(dst []Change, at int, old, words []uint64) []Change {
	const stretch = 64
	for len(words) >= stretch && len(old) >= stretch {
		if !same(old[:stretch], words[:stretch]) {
			dst = appendChangesByLine(dst, at, old[:stretch], words[:stretch])
		}
		at, old, words = at+stretch, old[stretch:], words[stretch:]
	}
	return appendChangesByLine(dst, at, old, words)
}

// same reports whether no word has changed. It uses the runtime's memory comparison, which is
// several times as fast as loading one word after the other. The comparison is not atomic,
// but on all processors it reads each aligned word whole, at some moment of the call. A
// later change is found by the next scrape, like any change after a load. The caller loads
// words that differ atomically.
func same(old, words []uint64) bool {
	return unsafe.String((*byte)(unsafe.Pointer(unsafe.SliceData(old))), 8*len(old)) ==
		unsafe.String((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 8*len(words))
}

// appendChangesByLine compares eight words per iteration, because the loop would cost as much
// as the comparisons.
func appendChangesByLine(dst []Change, at int, old, words []uint64) []Change {
	for len(words) >= 8 && len(old) >= 8 {
		a, b := (*[8]uint64)(old), (*[8]uint64)(words)
		differ := (a[0] ^ atomic.LoadUint64(&b[0])) | (a[1] ^ atomic.LoadUint64(&b[1])) |
			(a[2] ^ atomic.LoadUint64(&b[2])) | (a[3] ^ atomic.LoadUint64(&b[3])) |
			(a[4] ^ atomic.LoadUint64(&b[4])) | (a[5] ^ atomic.LoadUint64(&b[5])) |
			(a[6] ^ atomic.LoadUint64(&b[6])) | (a[7] ^ atomic.LoadUint64(&b[7]))
		if differ != 0 {
			dst = appendChanged(dst, at, old[:8], words[:8])
		}
		at, old, words = at+8, old[8:], words[8:]
	}
	return appendChanged(dst, at, old, words)
}

func appendChanged(dst []Change, at int, old, words []uint64) []Change {
	for i := range words {
		if w := atomic.LoadUint64(&words[i]); w != old[i] {
			dst = append(dst, Change{at + i, w})
		}
	}
	return dst
}

// loadAll loads all words of from, eight per iteration, because the loop would cost as much
// as the loads.
func loadAll(to, from []uint64) {
	for len(from) >= 8 && len(to) >= 8 {
		a, b := (*[8]uint64)(to), (*[8]uint64)(from)
		a[0] = atomic.LoadUint64(&b[0])
		a[1] = atomic.LoadUint64(&b[1])
		a[2] = atomic.LoadUint64(&b[2])
		a[3] = atomic.LoadUint64(&b[3])
		a[4] = atomic.LoadUint64(&b[4])
		a[5] = atomic.LoadUint64(&b[5])
		a[6] = atomic.LoadUint64(&b[6])
		a[7] = atomic.LoadUint64(&b[7])
		to, from = to[8:], from[8:]
	}
	for i := range from {
		to[i] = atomic.LoadUint64(&from[i])
	}
}

// AppendRemovedValues is AppendValues for the series of RemovedList.
func (r *Reader) AppendRemovedValues(dst []uint64) []uint64 {
	for _, e := range r.parser.removed.records.all {
		schema := r.parser.removed.schemas[e.schema]
		w := r.words(e.cells, WordsPerSeries(schema))
		if schema.Timed() {
			values := recentValues(w)
			dst = append(dst, values[:]...)
			continue
		}
		for i := range w {
			dst = append(dst, atomic.LoadUint64(&w[i]))
		}
	}
	return dst
}

// recentValues returns the bits of the value and its time.
func recentValues(w []uint64) [2]uint64 {
	bits, nanos, ok := LoadRecent(w)
	if !ok {
		nanos = 0
	}
	return [2]uint64{bits, uint64(nanos)}
}
