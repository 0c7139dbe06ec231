package mpm

import (
	"iter"
	"math"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// Words of a half (docs/format.md, "Exemplar (kind 3)").
const (
	halfTime   = 0
	halfValue  = 1
	halfLength = 2
	halfLabels = 3

	// maxExemplarText is the size of the longest labels: names of one 4-byte character
	// each, without values.
	maxExemplarText = (4 + 2 + 2) * openmetrics.MaxExemplarRunes

	minExemplarText = 64 // a trace id of 32 digits, its name, and some more
)

// exemplarCells are the words of one exemplar record: the sequence and two halves.
type exemplarCells struct {
	record wordOffset
	words  []uint64
	older  *exemplarCells // of the same bucket, with shorter halves
}

// size returns the size of the record in bytes.
func (c *exemplarCells) size() int { return offExeSequence + 8*len(c.words) }

// half returns half n of two.
func (c *exemplarCells) half(n uint64) []uint64 {
	half := (len(c.words) - 1) / 2
	return c.words[1+int(n)*half:][:half]
}

// room returns how many bytes of labels fit into a half.
func (c *exemplarCells) room() int { return 8 * (len(c.half(0)) - halfLabels) }

// store publishes an exemplar. A time of 0 clears the current one. text is a whole number of
// words, of which n bytes count. If another writer is at work, store does nothing.
func (c *exemplarCells) store(nanos int64, value float64, text []byte, n int) {
	sequence := atomic.LoadUint64(&c.words[0])
	if sequence&1 == 1 || !atomic.CompareAndSwapUint64(&c.words[0], sequence, sequence+1) {
		return
	}
	half := c.half((sequence>>1 + 1) & 1)
	atomic.StoreUint64(&half[halfTime], uint64(nanos))
	atomic.StoreUint64(&half[halfValue], math.Float64bits(value))
	atomic.StoreUint64(&half[halfLength], uint64(n))
	for i := 0; i < len(text); i += 8 {
		atomic.StoreUint64(&half[halfLabels+i/8], le.Uint64(text[i:]))
	}
	atomic.StoreUint64(&c.words[0], sequence+2)
}

// load returns the current exemplar, or nil if there is none that can be read, and half the
// sequence, which identifies it.
func (c *exemplarCells) load() (x *metric.Exemplar, number uint64) {
	for range 3 {
		number = atomic.LoadUint64(&c.words[0]) >> 1
		half := c.half(number & 1)
		nanos, value := int64(atomic.LoadUint64(&half[halfTime])), math.Float64frombits(atomic.LoadUint64(&half[halfValue]))
		n := atomic.LoadUint64(&half[halfLength])
		text := make([]byte, 0, maxExemplarText)
		for i := halfLabels; i < len(half) && uint64(len(text)) < n; i++ {
			text = le.AppendUint64(text, atomic.LoadUint64(&half[i]))
		}
		if atomic.LoadUint64(&c.words[0])>>1 != number {
			continue
		}
		if nanos == 0 || n > uint64(len(text)) {
			return nil, number
		}
		labels, ok := decodeExemplarLabels(text[:n])
		if !ok {
			return nil, number
		}
		return &metric.Exemplar{Labels: labels, Value: value, Timestamp: time.Unix(0, nanos)}, number
	}
	return nil, number
}

func decodeExemplarLabels(text []byte) (labels metric.Labels, ok bool) {
	d := decoder{b: text}
	for len(d.b) > 0 && !d.bad {
		labels = append(labels, metric.Label{Name: d.str(), Value: d.str()})
	}
	return labels, !d.bad && len(labels) > 0 && openmetrics.CheckExemplar(labels) == nil
}

// appendExemplarLabels appends the labels as they are in a half. The caller pads.
func appendExemplarLabels(dst []byte, labels metric.Labels) []byte {
	for _, l := range labels {
		dst = append(le.AppendUint16(dst, uint16(len(l.Name))), l.Name...)
		dst = append(le.AppendUint16(dst, uint16(len(l.Value))), l.Value...)
	}
	return dst
}

// SetExemplar stores the exemplar of an update of that bucket of a histogram, or of bucket 0
// for a counter. After the buckets of a histogram, +Inf included, come the places for native
// exemplars. The labels must have passed openmetrics.CheckExemplar; they are copied. The time
// is in nanoseconds since 1970. Only the first exemplar of a bucket, and one that needs more
// space than all before it, take a lock. Of two concurrent exemplars one is kept. Families
// of other types have none, and if the file is full there is no new one.
func (s *Series) SetExemplar(bucket int, labels metric.Labels, value float64, nanos int64) {
	if s.ref == nil {
		return
	}
	var buf [maxExemplarText]byte
	text := appendExemplarLabels(buf[:0], labels)
	n := len(text)
	text = buf[:align8(n)]
	old := s.cellsOf(bucket)
	c := old
	if c == nil || c.room() < n {
		if s.Lost() || s.ref.store.noExemplars.Load() {
			return
		}
		if c = s.addExemplar(bucket, n); c == nil {
			return
		}
	}
	c.store(nanos, value, text, n)
	if old != nil && old != c {
		old.store(0, 0, nil, 0) // it would win if the clock was set back
	}
}

func (s *Series) cellsOf(bucket int) *exemplarCells {
	if a := s.attached.Load(); a != nil && bucket < len(a.exemplars) {
		return a.exemplars[bucket].Load()
	}
	return nil
}

// addExemplar appends a record for an exemplar with n bytes of labels. It returns nil if
// that is not possible.
func (s *Series) addExemplar(bucket, n int) *exemplarCells {
	s.ref.store.mu.Lock()
	defer s.ref.store.mu.Unlock()
	count := exemplarCount(s.ref.schema)
	old := s.cellsOf(bucket)
	switch {
	case old != nil && old.room() >= n:
		return old // another goroutine was faster
	case bucket >= count, s.gone.Load(), s.ref.store.closed:
		return nil
	}
	room := minExemplarText
	for room < n {
		room *= 2
	}
	size := offExeHalves + 2*(8*halfLabels+room)
	e := encoder{b: make([]byte, offExeHalves, size)}
	le.PutUint32(e.b[offExeSeries:], uint32(s.at.record))
	le.PutUint32(e.b[offExeBucket:], uint32(bucket))
	rec, err := e.finish(kindExemplar, size)
	if err != nil {
		return nil
	}
	at, err := s.ref.store.addRecord(rec)
	if err != nil {
		s.ref.store.noExemplars.Store(true) // so that no later update tries again
		return nil
	}
	a := s.attached.Load()
	if a == nil || a.exemplars == nil {
		a = &attached{make([]atomic.Pointer[exemplarCells], count), s.regionList()}
		s.attached.Store(a)
	}
	c := &exemplarCells{record: at, words: words(s.ref.store.bytes(at, size), offExeSequence, (size-offExeSequence)/8), older: old}
	a.exemplars[bucket].Store(c)
	return c
}

// exemplarCount returns the number of exemplars that a series can have.
func exemplarCount(s *metric.Schema) int {
	switch s.Type {
	case metric.Counter:
		return 1
	case metric.Histogram:
		n := len(s.Bounds) + 1
		if s.Native != nil {
			n += s.Native.MaxExemplars
		}
		return n
	}
	return 0
}

// clear removes all exemplars.
func (a *attached) clear() {
	for c := range a.cells() {
		c.store(0, 0, nil, 0)
	}
}

// cells yields all records of the exemplars; a may be nil.
func (a *attached) cells() iter.Seq[*exemplarCells] {
	return func(yield func(*exemplarCells) bool) {
		if a == nil {
			return
		}
		for i := range a.exemplars {
			for c := a.exemplars[i].Load(); c != nil; c = c.older {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// ExemplarInfo is an exemplar record of a live series, as a reader sees it.
type ExemplarInfo struct {
	Series int // its number among the live series
	Bucket int // of a histogram, 0 of a counter
	cells  exemplarCells
}

// Number is the number of exemplars written so far. While it stays the same, Load returns
// the same exemplar. Call it within Guard.
func (e *ExemplarInfo) Number() uint64 { return atomic.LoadUint64(&e.cells.words[0]) >> 1 }

// Load returns the exemplar, or nil if there is none, and its number. Call it within Guard.
func (e *ExemplarInfo) Load() (x *metric.Exemplar, number uint64) { return e.cells.load() }
