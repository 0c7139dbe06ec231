package multiproc

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Histogram counts observations in buckets. Its methods never block, allocate or panic,
// except that the first update of a process opens the store. One with native buckets takes a
// lock and allocates when the first value comes near which it has no bucket yet; there are at
// most some dozens of such values.
type Histogram struct {
	s       series
	buckets *bucketTable       // the classic buckets
	native  histogram.Recorder // the native buckets; declared if there are any, ready after s has words
}

// NewHistogram declares a histogram in the default Set. It panics if the options are
// invalid.
func NewHistogram(opts HistogramOpts) *Histogram { return must(Default().NewHistogram(opts)) }

// NewHistogram declares a histogram. The error matches ErrConflict or an error
// of package metric.
func (s *Set) NewHistogram(opts HistogramOpts) (*Histogram, error) {
	schema, err := opts.schema(nil)
	if err != nil {
		return nil, err
	}
	return declareHistogram(s, schema, &opts, single[Histogram])
}

func (h *Histogram) init(in *instrument, values []string) {
	h.buckets = in.buckets
	if in.schema.Native != nil {
		h.native.Declare()
	}
	h.s.init(in, values, h)
}

// bindLocked is series.bindLocked.
func (h *Histogram) bindLocked(values []string) {
	h.s.bindLocked(values)
	if h.s.in.schema.Native != nil {
		h.initNative()
	}
}

func (o HistogramOpts) schema(labels []string) (*metric.Schema, error) {
	common := Opts{o.Namespace, o.Subsystem, o.Name, o.Help, o.Unit, o.ConstLabels, o.MaxSeries, o.Separate, o.TTL}
	s, err := common.schema(metric.Histogram, 0, labels)
	if err != nil {
		return nil, err
	}
	if s.Native, err = o.native(); err != nil {
		return nil, fmt.Errorf("multiproc: metric %q: %w: %w", s.Name, form.ErrSchema, err)
	}
	s.Bounds = slices.Clone(o.Buckets)
	if o.Buckets == nil && s.Native == nil {
		s.Bounds = slices.Clone(DefBuckets)
	}
	if len(s.Bounds) == 0 && s.Native == nil {
		return nil, fmt.Errorf("multiproc: metric %q: %w: Buckets is empty, nil means the default ones", s.Name, form.ErrSchema)
	}
	if n := len(s.Bounds); n > 0 && math.IsInf(s.Bounds[n-1], 1) {
		s.Bounds = s.Bounds[:n-1]
	}
	return s, nil
}

// Observe counts v. NaN is counted in the bucket +Inf only and makes the sum NaN, as in
// client_golang.
//
// If the file is full, native buckets that it does not have yet cannot be made. Observations
// that need one are dropped and counted, in their sum and classic bucket neither.
func (h *Histogram) Observe(v float64) {
	w := (*uint64)(atomic.LoadPointer(&h.s.first))
	if h.native.Declared() {
		if w == nil || !h.native.Observe(cells(w), v) {
			h.observeRare(v)
		} else if len(h.buckets.bounds) > 0 {
			h.observeClassic(v)
		}
		return
	}
	i, ok := h.buckets.look(v) // find, of which this part is inlined
	if w != nil && ok {
		h.count(w, i, v)
	} else {
		// Everything rare is one call, and it comes last: what is needed after a call is
		// stored on the stack, and locked instructions wait for stores.
		h.observe(v)
	}
}

//go:noinline
func (h *Histogram) observe(v float64) { h.count(h.s.word(), h.buckets.find(v), v) }

// count counts v in bucket i. w is the first word.
func (h *Histogram) count(w *uint64, i int, v float64) {
	addFloat(w, v)
	// There are at most as many buckets as the words have room for.
	atomic.AddUint64(at(w, mpm.CellHistogramBuckets+i), 1)
	h.s.keepAlive()
}

func (h *Histogram) remove() { h.s.removeAs(h) }

// HistogramVec has one Histogram for each set of label values. In the methods that all Vecs
// share, T is Histogram.
type HistogramVec struct {
	metricVec[Histogram]
}

// NewHistogramVec declares a histogram with labels in the default Set. It panics if the options are
// invalid.
func NewHistogramVec(opts HistogramOpts, labels []string) *HistogramVec {
	return must(Default().NewHistogramVec(opts, labels))
}

// NewHistogramVec declares a histogram with labels. The error matches ErrConflict or an
// error of package metric.
func (s *Set) NewHistogramVec(opts HistogramOpts, labels []string) (*HistogramVec, error) {
	schema, err := opts.schema(labels)
	if err != nil {
		return nil, err
	}
	return declareHistogram(s, schema, &opts, func(in *instrument) *HistogramVec {
		return &HistogramVec{metricVec[Histogram]{v: newVec[Histogram](in)}}
	})
}

// CurryWith returns a view of the Vec in which these labels have fixed values. The error
// matches metric.ErrInvalid.
func (v *HistogramVec) CurryWith(labels Labels) (*HistogramVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &HistogramVec{c}, nil
}

// MustCurryWith is CurryWith, but panics if there is an error.
func (v *HistogramVec) MustCurryWith(labels Labels) *HistogramVec { return must(v.CurryWith(labels)) }
