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
		to := dst[n:][:len(s.words)]
		for i := range s.words {
			to[i] = atomic.LoadUint64(&s.words[i])
		}
	}
	return dst
}

// AppendValues is Reader.AppendValues for one series.
func (s *SeriesInfo) AppendValues(dst []uint64) []uint64 {
	if isRecent(s.Family) {
		return appendRecent(dst, s.Words)
	}
	for i := range s.Words {
		dst = append(dst, atomic.LoadUint64(&s.Words[i]))
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
