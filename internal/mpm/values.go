package mpm

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/multiprom/multiprom/metric"
)

// span is a range of a block with the words of one series, or of series with consecutive
// numbers whose words are adjacent.
type span struct {
	at     wordOffset // 0 for the values of gaps, which have no words
	n      uint32
	recent bool // of one series whose words are not plain values
}

// appendSpan appends a span, or makes the last one longer.
func appendSpan(dst []span, s span) []span {
	if n := len(dst); n > 0 && !s.recent {
		// Adjacent words are in the same block, because there is a header between blocks.
		last := &dst[n-1]
		if !last.recent && (last.at == 0) == (s.at == 0) && (s.at == 0 || last.at+wordOffset(last.n) == s.at) {
			last.n += s.n
			return dst
		}
	}
	return append(dst, s)
}

// ValuesPerSeries returns how many values a series of that schema has: its words, or, if they
// are those of a mostrecent mode, the bits of the value and its time in nanoseconds since
// 1970, which is 0 if it was never set. How often a gauge with a TTL was updated is no value.
func ValuesPerSeries(s *metric.Schema) int {
	switch {
	case s.Timed():
		return 2
	case s.Type.HasMode():
		return 1
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

// appendValues appends the values of spans without gaps.
func (r *Reader) appendValues(dst []uint64, spans []span) []uint64 {
	n := 0
	for i := range spans {
		n += spans[i].size()
	}
	dst = slices.Grow(dst, n)
	for _, s := range spans {
		if s.recent {
			values := recentValues(r.words(s.at, int(s.n)))
			dst = append(dst, values[:]...)
			continue
		}
		from := len(dst)
		dst = dst[:from+int(s.n)]
		loadAll(dst[from:], r.words(s.at, int(s.n)))
	}
	return dst
}

// Change is a value that has changed.
type Change struct {
	At   int // its position among the values of all series, see SeriesList.Position
	Word uint64
}

// changes appends what differs from the known values, in the order of At.
//
// In most scrapes, most values are those of the scrape before. Comparing them writes
// nothing.
func (r *Reader) changes(dst []Change, known []uint64, spans []span) []Change {
	at := 0
	for _, s := range spans {
		n := s.size()
		old := known[at:][:n]
		switch {
		case s.at == 0:
		case s.recent:
			values := recentValues(r.words(s.at, int(s.n)))
			for i := range old {
				if values[i] != old[i] {
					dst = append(dst, Change{at + i, values[i]})
				}
			}
		default:
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

// recentValues returns the bits of the value and its time.
func recentValues(w []uint64) [2]uint64 {
	bits, nanos, ok := LoadRecent(w)
	if !ok {
		nanos = 0
	}
	return [2]uint64{bits, uint64(nanos)}
}
