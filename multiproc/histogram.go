package multiproc

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// DefBuckets are the buckets of a histogram that names none: seconds, as
// client_python has them.
var DefBuckets = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// LinearBuckets returns count bounds, width apart, from start. It panics
// unless count and width are positive.
func LinearBuckets(start, width float64, count int) []float64 {
	if count < 1 || !(width > 0) {
		panic("multiproc: LinearBuckets needs a positive count and width")
	}
	out := make([]float64, count)
	for i := range out {
		out[i] = start + float64(i)*width
	}
	return out
}

// ExponentialBuckets returns count bounds from start, each factor times the
// one before. It panics unless count and start are positive and factor is
// above 1.
func ExponentialBuckets(start, factor float64, count int) []float64 {
	if count < 1 || !(start > 0) || !(factor > 1) {
		panic("multiproc: ExponentialBuckets needs a positive count and start and a factor above 1")
	}
	out := make([]float64, count)
	for i := range out {
		out[i] = start
		start *= factor
	}
	return out
}

// Histogram counts observations in buckets. Its methods never block, allocate
// or panic, but for the first update of a process.
type Histogram struct {
	s       series[[]uint64]
	buckets *bucketTable
}

// NewHistogram declares a histogram in the default Set, and panics where the
// definition is invalid.
func NewHistogram(opts HistogramOpts) *Histogram { return Must(Default().NewHistogram(opts)) }

// NewHistogram declares a histogram. The error matches ErrConflict or an error
// of package metric.
func (s *Set) NewHistogram(opts HistogramOpts) (*Histogram, error) {
	schema, err := opts.schema(nil)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, 0, func(in *instrument) *Histogram {
		return newHistogram(in, nil, newBucketTable(schema.Bounds))
	})
}

func newHistogram(in *instrument, values []string, t *bucketTable) *Histogram {
	h := &Histogram{buckets: t}
	h.s.init(in, values, slice)
	return h
}

func (o HistogramOpts) schema(labels []string) (*metric.Schema, error) {
	common := Opts{o.Namespace, o.Subsystem, o.Name, o.Help, o.Unit, o.ConstLabels, o.MaxSeries}
	s, err := common.schema(metric.Histogram, 0, labels)
	if err != nil {
		return nil, err
	}
	s.Bounds = slices.Clone(o.Buckets)
	if o.Buckets == nil {
		s.Bounds = slices.Clone(DefBuckets)
	}
	if n := len(s.Bounds); n > 0 && math.IsInf(s.Bounds[n-1], 1) {
		s.Bounds = s.Bounds[:n-1]
		if n == 1 {
			return nil, fmt.Errorf("multiproc: metric %q: %w: +Inf is its only bucket", s.Name, metric.ErrInvalidSchema)
		}
	}
	return s, nil
}

// Observe counts v. NaN is counted in the bucket +Inf only, and makes the sum
// NaN, as in client_golang.
func (h *Histogram) Observe(v float64) {
	w := *h.s.load()
	i := h.buckets.find(v)
	addFloat(&w[mmapstore.CellHistogramSum], v)
	atomic.AddUint64(&w[mmapstore.CellHistogramBuckets+i], 1)
	runtime.KeepAlive(h)
}

func (h *Histogram) remove() { h.s.remove() }

// bucketTable finds the bucket of a value: the top bits of a double, exponent
// and three bits of the mantissa, lead to the first bound that can hold it.
type bucketTable struct {
	bounds []float64
	base   uint64 // top bits of the lowest positive bound
	first  [tableSize]uint16
	linear bool // negative bounds: their order is not that of their bits
}

const (
	tableSize  = 256
	tableShift = 52 - 3
)

func newBucketTable(bounds []float64) *bucketTable {
	t := &bucketTable{bounds: bounds, linear: bounds[0] < 0}
	lowest := bounds[0]
	if lowest == 0 && len(bounds) > 1 {
		lowest = bounds[1]
	}
	t.base = math.Float64bits(lowest) >> tableShift
	for i := range t.first {
		edge := math.Float64frombits((t.base + uint64(i)) << tableShift)
		n, _ := slices.BinarySearch(bounds, edge)
		t.first[i] = uint16(n)
	}
	return t
}

// find returns the place of the first bound that is at least v, or that of
// +Inf.
func (t *bucketTable) find(v float64) int {
	if v != v {
		return len(t.bounds)
	}
	i := 0
	if !t.linear && v > 0 {
		if key := math.Float64bits(v) >> tableShift; key >= t.base {
			i = int(t.first[min(key-t.base, tableSize-1)])
		}
	}
	for i < len(t.bounds) && t.bounds[i] < v {
		i++
	}
	return i
}

// HistogramVec is a family of histograms, one per set of label values.
type HistogramVec struct {
	metricVec[Histogram, *Histogram]
}

// NewHistogramVec declares a histogram with labels in the default Set, and panics where
// the definition is invalid.
func NewHistogramVec(opts HistogramOpts, labels []string) *HistogramVec {
	return Must(Default().NewHistogramVec(opts, labels))
}

// NewHistogramVec declares a histogram with labels. The error matches ErrConflict or an
// error of package metric.
func (s *Set) NewHistogramVec(opts HistogramOpts, labels []string) (*HistogramVec, error) {
	schema, err := opts.schema(labels)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, func(in *instrument) *HistogramVec {
		t := newBucketTable(schema.Bounds)
		discard := &Histogram{buckets: t}
		discard.s.discard(in, slice)
		return &HistogramVec{metricVec[Histogram, *Histogram]{v: newVec(in, discard, func(values []string) *Histogram {
			return newHistogram(in, values, t)
		})}}
	})
}

// CurryWith returns a view with these labels fixed. The error matches
// ErrLabels.
func (v *HistogramVec) CurryWith(labels Labels) (*HistogramVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &HistogramVec{c}, nil
}

// MustCurryWith is CurryWith, and panics on an error.
func (v *HistogramVec) MustCurryWith(labels Labels) *HistogramVec { return Must(v.CurryWith(labels)) }
