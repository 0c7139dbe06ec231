package prom

import (
	"math"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/compat/internal/losses"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// histogram is a prometheus.Histogram over cells of the store.
type histogram struct {
	*multiproc.Histogram
	base
	bounds    []float64                      // without +Inf
	exemplars []atomic.Pointer[dto.Exemplar] // for Write, by bucket
}

var _ prometheus.ExemplarObserver = (*histogram)(nil)

// ObserveWithExemplar is Observe with an exemplar, unless labels is nil. Where
// they are no labels of an exemplar, it counts v and panics.
func (h *histogram) ObserveWithExemplar(v float64, labels prometheus.Labels) {
	if labels == nil {
		h.Observe(v)
		return
	}
	x, err := newExemplar(v, labels)
	if err != nil {
		h.Observe(v)
		panic(err)
	}
	h.Histogram.ObserveWithExemplar(v, labels)
	h.exemplars[sort.SearchFloat64s(h.bounds, v)].Store(x) // NaN goes to +Inf
}

// Write gives what this process has observed. As with client_golang, there is no
// bucket +Inf unless it has an exemplar. Native buckets have no exemplars here; the
// merged view has them.
func (h *histogram) Write(out *dto.Metric) error {
	exemplars := make([]*dto.Exemplar, len(h.exemplars))
	for i := range exemplars {
		exemplars[i] = h.exemplars[i].Load()
	}
	buckets, sum := h.Values()
	last := len(buckets) - 1
	his := &dto.Histogram{
		SampleCount: new(buckets[last].Count), SampleSum: new(sum), CreatedTimestamp: h.created,
		Bucket: make([]*dto.Bucket, 0, len(buckets)),
	}
	for i, b := range buckets {
		if i < last || exemplars[i] != nil {
			his.Bucket = append(his.Bucket, &dto.Bucket{CumulativeCount: new(b.Count), UpperBound: new(b.UpperBound), Exemplar: exemplars[i]})
		}
	}
	out.Label = h.labels
	out.Histogram = his
	if s, ok := access.Native(h.Histogram); ok {
		return writeNative(his, &s)
	}
	return nil
}

// writeNative adds native buckets to a histogram, and sets everything that must agree with
// them.
func writeNative(out *dto.Histogram, s *metric.Series) error {
	families, err := convert.MetricFamilies([]*metric.Family{{Name: "h", Type: metric.Histogram, Series: []metric.Series{*s}}})
	if err != nil {
		return err
	}
	his := families[0].Metric[0].Histogram
	for i, b := range out.Bucket {
		b.CumulativeCount = new(s.Buckets[i].Count)
	}
	out.SampleCount, out.SampleSum = his.SampleCount, his.SampleSum
	out.Schema, out.ZeroThreshold, out.ZeroCount = his.Schema, his.ZeroThreshold, his.ZeroCount
	out.PositiveSpan, out.PositiveDelta = his.PositiveSpan, his.PositiveDelta
	out.NegativeSpan, out.NegativeDelta = his.NegativeSpan, his.NegativeDelta
	return nil
}

// Collect sends the histogram.
func (h *histogram) Collect(ch chan<- prometheus.Metric) { ch <- h }

func newHistogram(in *instrument, cells *multiproc.Histogram, bounds []float64, values []string) *histogram {
	return &histogram{
		Histogram: cells, base: newBase(in, cells, values),
		bounds: bounds, exemplars: make([]atomic.Pointer[dto.Exemplar], len(bounds)+1),
	}
}

// buckets are those of the store, without +Inf, which is there anyway.
func buckets(opts prometheus.HistogramOpts) []float64 {
	buckets := slices.Clone(opts.Buckets)
	if len(buckets) == 0 && !isNative(opts) {
		buckets = prometheus.DefBuckets
	}
	if last := len(buckets) - 1; last >= 0 && isInf(buckets[last]) {
		buckets = buckets[:last]
	}
	return buckets
}

func isInf(v float64) bool { return math.IsInf(v, 1) }

func isNative(opts prometheus.HistogramOpts) bool { return opts.NativeHistogramBucketFactor > 1 }

func histogramOpts(o multiproc.Opts, buckets []float64, opts prometheus.HistogramOpts) multiproc.HistogramOpts {
	out := multiproc.HistogramOpts{
		Name: o.Name, Help: o.Help, Unit: o.Unit, ConstLabels: o.ConstLabels, MaxSeries: o.MaxSeries, TTL: o.TTL,
		Buckets: append(slices.Clone(buckets), math.Inf(1)), Separate: o.Separate,
	}
	if isNative(opts) {
		out.NativeHistogramBucketFactor = opts.NativeHistogramBucketFactor
		out.NativeHistogramZeroThreshold = opts.NativeHistogramZeroThreshold
		out.NativeHistogramMaxBucketNumber = min(opts.NativeHistogramMaxBucketNumber, mostNativeBuckets)
		out.NativeHistogramMaxExemplars = min(opts.NativeHistogramMaxExemplars, mostNativeExemplars)
		out.NativeHistogramExemplarTTL = opts.NativeHistogramExemplarTTL
	}
	return out
}

// What a store holds of a native histogram at most.
const (
	mostNativeBuckets   = 1024
	mostNativeExemplars = 16
)

// commonOfHistogram are the options that all metrics have.
func commonOfHistogram(opts prometheus.HistogramOpts) prometheus.Opts {
	return prometheus.Opts{
		Namespace: opts.Namespace, Subsystem: opts.Subsystem, Name: opts.Name,
		Help: opts.Help, Unit: opts.Unit, ConstLabels: opts.ConstLabels,
	}
}

// NewHistogram returns a histogram, which is a prometheus.ExemplarObserver too. Over
// a store, its native buckets are never reset and its zero bucket does not widen, since
// all processes have one histogram together: NativeHistogramMinResetDuration and
// NativeHistogramMaxZeroThreshold are counted as losses. If there are more native
// buckets than NativeHistogramMaxBucketNumber, by default 160, they become wider.
func (f *Factory) NewHistogram(opts prometheus.HistogramOpts) prometheus.Histogram {
	if f.plain() {
		return prometheus.NewHistogram(opts)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.NewHistogram(opts)
	desc, bounds := theirs.Desc(), buckets(opts)
	if desc.Err() != nil {
		return theirs // which no registry takes
	}
	f.noteNative(opts, desc)
	d := f.define(desc, commonOfHistogram(opts), nil, func(o multiproc.Opts) (any, error) {
		return f.set.NewHistogram(histogramOpts(o, bounds, opts))
	})
	d.bounds = bounds
	return inStore(f, d, theirs, func(in *instrument) prometheus.Histogram {
		return newHistogram(in, in.cells.(*multiproc.Histogram), bounds, nil)
	})
}

func (f *Factory) noteNative(opts prometheus.HistogramOpts, desc *prometheus.Desc) {
	if isNative(opts) && (opts.NativeHistogramMinResetDuration > 0 || opts.NativeHistogramMaxZeroThreshold > 0) {
		losses.Add(f.set, losses.Native, desc.String(), nil)
	}
}

// NewHistogramVec returns a family of histograms, as NewHistogram.
func (f *Factory) NewHistogramVec(opts prometheus.HistogramOpts, labelNames []string) *prometheus.HistogramVec {
	return f.histogramVec(prometheus.HistogramVecOpts{HistogramOpts: opts, VariableLabels: prometheus.UnconstrainedLabels(labelNames)})
}

func (f *Factory) histogramVec(opts prometheus.HistogramVecOpts) *prometheus.HistogramVec {
	if f.plain() {
		return prometheus.V2.NewHistogramVec(opts)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.V2.NewHistogramVec(opts)
	desc, labels := description(theirs), names(opts.VariableLabels)
	if desc.Err() != nil || panics(func() {
		prometheus.NewHistogramVec(opts.HistogramOpts, labels).WithLabelValues(make([]string, len(labels))...)
	}) {
		return theirs // which panics at its first lookup, as it does there
	}
	f.noteNative(opts.HistogramOpts, desc)
	bounds := buckets(opts.HistogramOpts)
	d := f.define(desc, commonOfHistogram(opts.HistogramOpts), labels, func(o multiproc.Opts) (any, error) {
		return f.set.NewHistogramVec(histogramOpts(o, bounds, opts.HistogramOpts), labels)
	})
	d.bounds = bounds
	return inStore(f, d, theirs, func(in *instrument) *prometheus.HistogramVec {
		cells := in.cells.(*multiproc.HistogramVec)
		return &prometheus.HistogramVec{MetricVec: newMetricVec(f, in, cells.DeleteLabelValues, func(values []string) child {
			return newHistogram(in, cells.WithLabelValues(values...), bounds, values)
		})}
	})
}
