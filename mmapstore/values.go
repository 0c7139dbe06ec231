package mmapstore

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/multiprom/multiprom/metric"
)

// span is a stretch of a block with the words of one series or, since series that
// are added one behind the other lie so, of many.
type span struct {
	words  []uint64
	recent bool // of one series, whose words are no plain values
}

// extend adds the words of a series to the last span, if they begin where it ends.
func (s *span) extend(w []uint64) bool {
	end := uintptr(unsafe.Pointer(unsafe.SliceData(s.words))) + uintptr(8*len(s.words))
	if s.recent || end != uintptr(unsafe.Pointer(unsafe.SliceData(w))) {
		return false
	}
	s.words = unsafe.Slice(unsafe.SliceData(s.words), len(s.words)+len(w)) // of the same block: between two there is a header
	return true
}

func (p *parser) addSpan(s *metric.Schema, w []uint64) {
	recent := isRecent(s)
	p.values += ValuesPerSeries(s)
	if len(w) == 0 || !recent && len(p.spans) > 0 && p.spans[len(p.spans)-1].extend(w) {
		return
	}
	p.spans = append(p.spans, span{w, recent})
}

// ValuesPerSeries returns how many words AppendValues appends for a series of that
// definition.
func ValuesPerSeries(s *metric.Schema) int {
	if isRecent(s) {
		return 2
	}
	return WordsPerSeries(s)
}

// AppendValues appends the words of all of Series, in their order; of a mostrecent
// series only the bits of the value and its time in nanoseconds since 1970, which
// is 0 where nobody has set it. Call it within Guard.
func (r *Reader) AppendValues(dst []uint64) []uint64 {
	dst = slices.Grow(dst, r.parser.values)
	for _, s := range r.parser.spans {
		if s.recent {
			dst = appendRecent(dst, s.words)
			continue
		}
		n := len(dst)
		dst = dst[:n+len(s.words)]
		loadAll(dst[n:], s.words)
	}
	return dst
}

// loadAll loads all words of from, eight in a row: the loop would cost as much as
// they do.
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

// AppendValues is Reader.AppendValues for one series.
func (s *SeriesInfo) AppendValues(dst []uint64) []uint64 {
	if isRecent(s.Family) {
		return appendRecent(dst, s.Words())
	}
	w := s.Words()
	for i := range w {
		dst = append(dst, atomic.LoadUint64(&w[i]))
	}
	return dst
}

func appendRecent(dst, w []uint64) []uint64 {
	bits, nanos, ok := LoadRecent(w)
	if !ok {
		nanos = 0
	}
	return append(dst, bits, uint64(nanos))
}

// isRecent reports whether the series holds a value with its time.
func isRecent(s *metric.Schema) bool {
	return (s.Type == metric.Gauge || s.Type == metric.StateSet) && s.Mode.Base() == metric.ModeMostRecent
}
