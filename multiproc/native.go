package multiproc

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Defaults of the options of native buckets.
const (
	defaultZeroThreshold     = 0x1p-128
	defaultNativeBuckets     = 160
	defaultNativeExemplars   = 10
	defaultNativeExemplarTTL = 5 * time.Minute

	mostNativeBuckets = 1024
)

// native returns what the options say of native buckets, or nil if there are none.
func (o *HistogramOpts) native() (*metric.NativeSchema, error) {
	const factor, threshold, number, exemplars = "NativeHistogramBucketFactor", "NativeHistogramZeroThreshold", "NativeHistogramMaxBucketNumber", "NativeHistogramMaxExemplars"
	f := o.NativeHistogramBucketFactor
	switch {
	case !(f >= 0): // NaN neither
		return nil, fmt.Errorf("%s is %v: it must be above 1, or 0 for no native buckets", factor, f)
	case o.NativeHistogramMaxBucketNumber > mostNativeBuckets:
		return nil, fmt.Errorf("%s is %d, the most is %d", number, o.NativeHistogramMaxBucketNumber, mostNativeBuckets)
	case o.NativeHistogramMaxExemplars > histogram.MostExemplars:
		return nil, fmt.Errorf("%s is %d, the most is %d", exemplars, o.NativeHistogramMaxExemplars, histogram.MostExemplars)
	case !(math.Abs(o.NativeHistogramZeroThreshold) <= math.MaxFloat64):
		return nil, fmt.Errorf("%s is %v: it must be finite", threshold, o.NativeHistogramZeroThreshold)
	case f <= 1:
		return nil, nil
	}
	n := &metric.NativeSchema{
		Schema: histogram.SchemaOf(o.NativeHistogramBucketFactor), MaxBuckets: int(o.NativeHistogramMaxBucketNumber),
		ZeroThreshold: max(0, o.NativeHistogramZeroThreshold), MaxExemplars: max(0, o.NativeHistogramMaxExemplars),
	}
	if o.NativeHistogramZeroThreshold == 0 {
		n.ZeroThreshold = defaultZeroThreshold
	}
	if n.MaxBuckets == 0 {
		n.MaxBuckets = defaultNativeBuckets
	}
	if o.NativeHistogramMaxExemplars == 0 {
		n.MaxExemplars = defaultNativeExemplars
	}
	return n, nil
}

// exemplarTTL returns NativeHistogramExemplarTTL with its default.
func (o *HistogramOpts) exemplarTTL() time.Duration {
	if o.NativeHistogramExemplarTTL == 0 {
		return defaultNativeExemplarTTL
	}
	return max(-1, o.NativeHistogramExemplarTTL)
}

// declareHistogram is declare. Histograms that differ in what is not in the schema conflict
// too.
func declareHistogram[T any](s *Set, schema *metric.Schema, o *HistogramOpts, make func(*instrument) *T) (*T, error) {
	ttl := o.exemplarTTL()
	var in *instrument // nil if it was declared before
	h, err := declare(s, schema, o.MaxSeries, o.Separate, func(made *instrument) *T {
		in, made.exemplarTTL = made, ttl
		return make(made)
	})
	if err != nil || in != nil || schema.Native == nil {
		return h, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.find(h); old != nil && old.exemplarTTL != ttl {
		return nil, fmt.Errorf("multiproc: %w: histogram %q was declared before: NativeHistogramExemplarTTL is %v, not %v", ErrConflict, schema.Name, ttl, old.exemplarTTL)
	}
	return h, nil
}

// noTable has no bucket of any value, so that Observe leaves a histogram with native buckets to
// observe.
var noTable bucketTable

// native is what a histogram with native buckets has besides its words.
type native struct {
	recorder histogram.Recorder
	classic  *bucketTable // nil without finite bounds
	words    *uint64      // the first word

	exemplars struct {
		sync.Mutex
		ttl   int64            // nanoseconds
		most  int              // how many there are
		first int              // the bucket of the first one
		held  []histogram.Held // the others in this order
	}
}

// newNative returns the native part of a histogram, which has its words.
func newNative(h *Histogram) *native {
	in, first := h.s.in, atomic.LoadPointer(&h.s.first)
	n := &native{classic: in.buckets, words: (*uint64)(first)}
	n.recorder.Init(histogram.DefinitionOf(in.schema.Native), (*[histogram.Cells]uint64)(first), h.addRegion)
	n.exemplars.ttl, n.exemplars.most, n.exemplars.first = int64(in.exemplarTTL), in.schema.Native.MaxExemplars, len(in.schema.Bounds)+1
	return n
}

// bindNative returns the native part of a histogram that has one. The first update of a process
// comes here.
func (h *Histogram) bindNative() *native {
	h.s.word()
	set := h.s.in.set
	set.mu.Lock()
	defer set.mu.Unlock()
	if h.native.Load() == nil {
		h.native.Store(newNative(h))
	}
	return h.native.Load()
}

func (h *Histogram) addRegion(r histogram.Region) *[histogram.RegionBuckets]uint64 {
	defer h.s.keepAlive()
	return h.s.handle.AddRegion(r)
}

// observe is Histogram.Observe.
func (n *native) observe(v float64) {
	if n.recorder.Observe(v) && n.classic != nil {
		if i := n.classic.find(v); i < len(n.classic.bounds) {
			atomic.AddUint64(at(n.words, mpm.CellNativeBuckets+i), 1)
		}
	}
}

// bucket returns the number of the classic bucket of v.
func (n *native) bucket(v float64) int {
	if n.classic == nil {
		return 0
	}
	return n.classic.find(v)
}

// setExemplar sets an exemplar of the native buckets. NaN is in none.
func (n *native) setExemplar(s *mpm.Series, labels metric.Labels, v float64, nanos int64) {
	x := &n.exemplars
	if x.most == 0 || v != v {
		return
	}
	x.Lock()
	defer x.Unlock()
	added, place := histogram.Held{Value: v, Time: nanos}, len(x.held)
	if place < x.most {
		x.held = append(x.held, added)
	} else {
		place = histogram.Displaced(x.held, added, x.ttl)
		x.held[place] = added
	}
	s.SetExemplar(x.first+place, labels, v, nanos)
}

// restart forgets what was observed, after the words were set back.
func (n *native) restart() {
	n.recorder.Restart()
	n.exemplars.Lock()
	defer n.exemplars.Unlock()
	n.exemplars.held = n.exemplars.held[:0]
}

// nativeValues is Values. The count is that of the native buckets, and no cumulative bucket has
// more.
func (h *Histogram) nativeValues() (buckets []metric.Bucket, sum float64) {
	bounds := h.s.in.schema.Bounds
	counts := make([]uint64, len(bounds)+1)
	n := h.native.Load()
	if n == nil {
		return metric.Cumulate(bounds, counts), 0
	}
	for i := range bounds {
		counts[i] = atomic.LoadUint64(at(n.words, mpm.CellNativeBuckets+i))
	}
	sum = math.Float64frombits(atomic.LoadUint64(n.words))
	buckets, count := metric.Cumulate(bounds, counts), n.recorder.Count(sum != sum)
	h.s.keepAlive()
	for i := range buckets {
		buckets[i].Count = min(buckets[i].Count, count)
	}
	buckets[len(bounds)].Count = count
	return buckets, sum
}

// nativeSeries returns what this process has observed, as the merged view of it alone.
func (h *Histogram) nativeSeries() (s metric.Series, ok bool) {
	schema := h.s.in.schema
	if schema.Native == nil {
		return s, false
	}
	var total histogram.Total
	counts := make([]uint64, len(schema.Bounds)+1)
	if n := h.native.Load(); n == nil {
		total.Define(histogram.DefinitionOf(schema.Native))
	} else {
		for i := range schema.Bounds {
			counts[i] = atomic.LoadUint64(at(n.words, mpm.CellNativeBuckets+i))
		}
		s.Sum = math.Float64frombits(atomic.LoadUint64(n.words)) // before the count of NaN
		n.recorder.AddTo(&total)
		h.s.keepAlive()
	}
	total.Fit()
	s.Native = &metric.NativeHistogram{}
	s.Count, _ = total.Show(s.Native, math.IsNaN(s.Sum))
	s.Buckets = metric.Cumulate(schema.Bounds, counts)
	for i := range s.Buckets {
		s.Buckets[i].Count = min(s.Buckets[i].Count, s.Count)
	}
	s.Buckets[len(schema.Bounds)].Count = s.Count
	return s, true
}
