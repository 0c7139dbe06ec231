package multiproc

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unsafe"

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

// bindNative makes a histogram with native buckets, which has its words, count. The first update
// of a process comes here.
func (h *Histogram) bindNative() {
	h.s.word()
	set := h.s.in.set
	set.mu.Lock()
	defer set.mu.Unlock()
	h.initNative()
}

// initNative is bindNative with the Set's lock held.
func (h *Histogram) initNative() {
	if h.native.Ready() {
		return
	}
	var store histogram.RegionStore = &h.s.handle
	if h.s.handle.Words() == nil {
		store = new(histogram.Heap) // of a series that is in no store
	}
	h.native.Init(h.s.in.schema.Native, cells(h.s.word()), store)
}

// cells returns the first words of a histogram with native buckets.
func cells(first *uint64) *[histogram.Cells]uint64 {
	return (*[histogram.Cells]uint64)(unsafe.Pointer(first))
}

// observeRare counts v in a histogram with native buckets, however long that takes.
func (h *Histogram) observeRare(v float64) {
	if !h.native.Ready() {
		h.bindNative()
	}
	if h.native.ObserveRare(v) {
		h.observeClassic(v)
	}
	h.s.keepAlive()
}

// observeClassic counts v in the classic bucket of a histogram with native buckets, after those.
func (h *Histogram) observeClassic(v float64) {
	i, ok := h.buckets.look(v)
	if !ok {
		i = h.buckets.findByComparing(v)
	}
	if i < len(h.buckets.bounds) {
		atomic.AddUint64(at(h.s.word(), mpm.CellNativeBuckets+i), 1)
	}
	h.s.keepAlive()
}

// nativeSeries returns what this process has observed, as the merged view of it alone.
func (h *Histogram) nativeSeries() (s metric.Series, ok bool) {
	schema := h.s.in.schema
	if schema.Native == nil {
		return s, false
	}
	var total histogram.Total
	counts := make([]uint64, len(schema.Bounds)+1)
	if h.native.Ready() {
		w := h.s.load()
		for i := range schema.Bounds {
			counts[i] = atomic.LoadUint64(&w[mpm.CellNativeBuckets+i])
		}
		s.Sum = math.Float64frombits(atomic.LoadUint64(&w[histogram.CellSum])) // before the count of NaN
		h.native.AddTo(&total)
		h.s.keepAlive()
	} else {
		total.Define(histogram.DefinitionOf(schema.Native))
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
