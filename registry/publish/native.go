package publish

import (
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// nativeSchema is what the store says of a family with native buckets: the source has limited
// their number itself, and may have any resolution.
func nativeSchema(h *metric.NativeHistogram) *metric.NativeSchema {
	return &metric.NativeSchema{Schema: histogram.MaxSchema, MaxBuckets: 1024, ZeroThreshold: h.ZeroThreshold, MaxExemplars: histogram.MostExemplars}
}

// native is what the publisher keeps of the native buckets of a series. What the source has
// counted since the last publication is added to words of its present resolution: readers add
// up words of all resolutions, so nothing moves if it changes.
type native struct {
	last    nativeCounts
	regions map[histogram.Region]*[histogram.RegionBuckets]uint64 // without Counts
	held    []histogram.Held                                      // the exemplars, by their place
}

// nativeCounts is what the source says of native buckets.
type nativeCounts struct {
	schema    int
	zero, nan uint64
	buckets   map[nativeBucket]uint64 // those that are not empty
}

type nativeBucket struct {
	negative bool
	index    int32
}

func nativeCountsOf(s *metric.Series) nativeCounts {
	h := s.Native
	c := nativeCounts{schema: h.Schema, zero: h.ZeroCount, nan: s.Count - h.ZeroCount, buckets: map[nativeBucket]uint64{}}
	for _, negative := range []bool{false, true} {
		spans := h.Positive
		if negative {
			spans = h.Negative
		}
		for i, n := range histogram.All(spans) {
			if n > 0 {
				c.buckets[nativeBucket{negative, int32(i)}] = n
				c.nan -= n // in no bucket
			}
		}
	}
	return c
}

// reduced returns c with the buckets of a schema that is not finer.
func (c nativeCounts) reduced(schema int) nativeCounts {
	if schema == c.schema {
		return c
	}
	buckets := make(map[nativeBucket]uint64, len(c.buckets))
	for b, n := range c.buckets {
		b.index = histogram.Reduce(b.index, c.schema-schema)
		buckets[b] += n
	}
	c.schema, c.buckets = schema, buckets
	return c
}

// fallsTo reports whether something is less in now, which has the same schema.
func (c nativeCounts) fallsTo(now nativeCounts) bool {
	if now.zero < c.zero || now.nan < c.nan {
		return true
	}
	for b, n := range c.buckets {
		if now.buckets[b] < n {
			return true
		}
	}
	return false
}

// nativeHistogram stores a histogram with native buckets.
func (e *series) nativeHistogram(w []uint64, s *metric.Series) {
	if e.native == nil {
		e.native = &native{regions: map[histogram.Region]*[histogram.RegionBuckets]uint64{}}
		e.buckets = make([]running[uint64], len(s.Buckets)-1)
	}
	n, now := e.native, nativeCountsOf(s)
	restarted, below := e.begins(s), uint64(0)
	if now.schema > n.last.schema && len(n.last.buckets) > 0 {
		restarted = true // the source has its resolution back
	} else if n.last.schema = max(n.last.schema, now.schema); n.last.reduced(now.schema).fallsTo(now) {
		restarted = true
	}
	for i := range e.buckets {
		restarted = restarted || s.Buckets[i].Count-below < e.buckets[i].last
		below = s.Buckets[i].Count
	}
	last := n.last.reduced(min(n.last.schema, now.schema))
	if restarted {
		last = nativeCounts{}
		e.value.restart()
		for i := range e.buckets {
			e.buckets[i].restart()
		}
	}
	storeFloat(w, mpm.CellHistogramSum, e.value.next(sum(s)))
	grow(&w[histogram.CellZero], now.zero-last.zero)
	grow(&w[histogram.CellNaN], now.nan-last.nan)
	for b, count := range now.buckets {
		if count == last.buckets[b] {
			continue
		}
		if words := e.region(now.schema, b); words != nil {
			grow(&words[b.index&(histogram.RegionBuckets-1)], count-last.buckets[b])
		} else {
			now.buckets[b] = last.buckets[b] // there was no room: the next publication tries again
		}
	}
	below = 0
	for i := range e.buckets {
		atomic.StoreUint64(&w[mpm.CellNativeBuckets+i], e.buckets[i].next(s.Buckets[i].Count-below))
		below = s.Buckets[i].Count
	}
	n.last = now
}

// grow adds to a word of which this is the only writer.
func grow(w *uint64, by uint64) {
	if by != 0 {
		atomic.AddUint64(w, by)
	}
}

// region returns the words of a bucket's region, or nil if there is no room for it.
func (e *series) region(schema int, b nativeBucket) *[histogram.RegionBuckets]uint64 {
	r := histogram.Region{Schema: schema, Negative: b.negative, Number: histogram.RegionOf(b.index)}
	words := e.native.regions[r]
	if words == nil {
		if words = e.handle.AddRegion(r); words != nil {
			e.native.regions[r] = words
		}
	}
	return words
}

// nativeExemplarTTL is multiproc's default.
const nativeExemplarTTL = 5 * time.Minute

// nativeExemplars stores the exemplars of native buckets that are new.
func (b *book) nativeExemplars(e *series, s *metric.Series, now time.Time) {
	first, places := len(s.Buckets), len(s.Buckets)+histogram.MostExemplars
	for _, x := range s.Native.Exemplars {
		if x.Value != x.Value || e.shows(first, x) {
			continue
		}
		at := x.Timestamp
		if at.IsZero() {
			at = now
		}
		n := e.native
		added, place := histogram.Held{Value: x.Value, Time: at.UnixNano()}, len(n.held)
		if place < histogram.MostExemplars {
			n.held = append(n.held, added)
		} else {
			place = histogram.Displaced(n.held, added, int64(nativeExemplarTTL))
			n.held[place] = added
		}
		b.exemplar(e, first+place, places, x, now)
	}
}

// shows reports whether one of the exemplars from number first on is x.
func (e *series) shows(first int, x *metric.Exemplar) bool {
	if e.shown == nil {
		return false
	}
	for i := range e.shown[first:] {
		if e.shown[first+i].Compare(x) == 0 {
			return true
		}
	}
	return false
}
