package prom

import (
	"math"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

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
// bucket +Inf unless it has an exemplar.
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
	return nil
}

// Collect sends the histogram.
func (h *histogram) Collect(ch chan<- prometheus.Metric) { ch <- h }

func newHistogram(desc *prometheus.Desc, cells *multiproc.Histogram, bounds []float64, values []string) *histogram {
	return &histogram{
		Histogram: cells, base: newBase(desc, values),
		bounds: bounds, exemplars: make([]atomic.Pointer[dto.Exemplar], len(bounds)+1),
	}
}

func (f *Factory) histogramOpts(opts prometheus.HistogramOpts) multiproc.HistogramOpts {
	o := f.common(prometheus.Opts{
		Namespace: opts.Namespace, Subsystem: opts.Subsystem, Name: opts.Name,
		Help: opts.Help, Unit: opts.Unit, ConstLabels: opts.ConstLabels,
	})
	buckets := slices.Clone(opts.Buckets)
	if len(buckets) == 0 {
		buckets = prometheus.DefBuckets
	}
	if last := len(buckets) - 1; last > 0 && math.IsInf(buckets[last], 1) {
		buckets = buckets[:last] // it is there anyway
	}
	return multiproc.HistogramOpts{
		Name: o.Name, Help: o.Help, Unit: o.Unit, ConstLabels: o.ConstLabels, MaxSeries: o.MaxSeries,
		Buckets: buckets,
	}
}

// NewHistogram returns a histogram, which is a prometheus.ExemplarObserver too.
// It has classic buckets only, DefBuckets where opts names none: a store has no
// native ones, and NativeHistogramBucketFactor is left out of account.
func (f *Factory) NewHistogram(opts prometheus.HistogramOpts) prometheus.Histogram {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.NewHistogram(opts)
	desc := theirs.Desc()
	if desc.Err() != nil {
		return theirs // which no registry takes
	}
	o := f.histogramOpts(opts)
	cells := multiproc.Must(f.set.NewHistogram(o))
	return once(f.made, cells, desc, func() prometheus.Histogram { return newHistogram(desc, cells, o.Buckets, nil) })
}

// NewHistogramVec returns a family of histograms, as NewHistogram.
func (f *Factory) NewHistogramVec(opts prometheus.HistogramOpts, labelNames []string) *prometheus.HistogramVec {
	return f.histogramVec(prometheus.HistogramVecOpts{HistogramOpts: opts, VariableLabels: prometheus.UnconstrainedLabels(labelNames)})
}

func (f *Factory) histogramVec(opts prometheus.HistogramVecOpts) *prometheus.HistogramVec {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.V2.NewHistogramVec(opts)
	desc, labels := description(theirs), names(opts.VariableLabels)
	if desc.Err() != nil || panics(func() {
		prometheus.NewHistogramVec(opts.HistogramOpts, labels).WithLabelValues(make([]string, len(labels))...)
	}) {
		return theirs // which panics at its first lookup, as it does there
	}
	o := f.histogramOpts(opts.HistogramOpts)
	cells := multiproc.Must(f.set.NewHistogramVec(o, labels))
	return once(f.made, cells, desc, func() *prometheus.HistogramVec {
		return &prometheus.HistogramVec{MetricVec: newMetricVec(f, desc, cells.DeleteLabelValues, func(values []string) child {
			return newHistogram(desc, cells.WithLabelValues(values...), o.Buckets, values)
		})}
	})
}
