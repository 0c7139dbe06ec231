package prom

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/compat/internal/losses"
	"github.com/multiprom/multiprom/multiproc"
)

// summary is a prometheus.Summary over cells of the store: count and sum.
type summary struct {
	*multiproc.Summary
	base
}

// quantiles is a summary with objectives. The quantiles of this process are in its
// Write; those of several processes cannot be merged.
type quantiles struct {
	summary
	theirs prometheus.Summary // without labels
}

// Observe adds an observation.
func (q *quantiles) Observe(v float64) {
	q.summary.Observe(v)
	q.theirs.Observe(v)
}

// Write gives what this process has observed.
func (q *quantiles) Write(out *dto.Metric) error {
	if err := q.theirs.Write(out); err != nil {
		return err
	}
	out.Label, out.Summary.CreatedTimestamp = q.labels, q.created
	return nil
}

// Collect sends the summary.
func (q *quantiles) Collect(ch chan<- prometheus.Metric) { ch <- q }

// Write gives what this process has observed.
func (s *summary) Write(out *dto.Metric) error {
	count, sum := s.Values()
	out.Label = s.labels
	out.Summary = &dto.Summary{SampleCount: new(count), SampleSum: new(sum), CreatedTimestamp: s.created}
	return nil
}

// Collect sends the summary.
func (s *summary) Collect(ch chan<- prometheus.Metric) { ch <- s }

// summaryChild is either kind of summary.
type summaryChild interface {
	prometheus.Summary
	child
}

func newSummary(in *instrument, cells *multiproc.Summary, opts prometheus.SummaryOpts, values []string) summaryChild {
	s := summary{cells, newBase(in, cells, values)}
	if len(opts.Objectives) == 0 {
		return &s
	}
	opts.ConstLabels = nil
	return &quantiles{s, prometheus.NewSummary(opts)}
}

func commonOfSummary(opts prometheus.SummaryOpts) prometheus.Opts {
	return prometheus.Opts{
		Namespace: opts.Namespace, Subsystem: opts.Subsystem, Name: opts.Name,
		Help: opts.Help, Unit: opts.Unit, ConstLabels: opts.ConstLabels,
	}
}

// NewSummary returns a summary. The merged view has no quantiles, also where opts has
// objectives, which is counted as a loss: those of several processes cannot be merged.
// Where quantiles are wanted, use a histogram.
func (f *Factory) NewSummary(opts prometheus.SummaryOpts) prometheus.Summary {
	if f.plain() {
		return prometheus.NewSummary(opts)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.NewSummary(opts)
	desc := theirs.Desc()
	if desc.Err() != nil {
		return theirs // which no registry takes
	}
	f.noteQuantiles(opts, desc)
	d := f.define(desc, commonOfSummary(opts), nil, func(o multiproc.Opts) (any, error) {
		return f.set.NewSummary(multiproc.SummaryOpts(o))
	})
	return inStore(f, d, theirs, func(in *instrument) prometheus.Summary {
		return newSummary(in, in.cells.(*multiproc.Summary), opts, nil)
	})
}

func (f *Factory) noteQuantiles(opts prometheus.SummaryOpts, desc *prometheus.Desc) {
	if len(opts.Objectives) > 0 {
		losses.Add(f.set, losses.Quantiles, desc.String(), nil)
	}
}

// NewSummaryVec returns a family of summaries, as NewSummary.
func (f *Factory) NewSummaryVec(opts prometheus.SummaryOpts, labelNames []string) *prometheus.SummaryVec {
	return f.summaryVec(prometheus.SummaryVecOpts{SummaryOpts: opts, VariableLabels: prometheus.UnconstrainedLabels(labelNames)})
}

func (f *Factory) summaryVec(opts prometheus.SummaryVecOpts) *prometheus.SummaryVec {
	if f.plain() {
		return prometheus.V2.NewSummaryVec(opts)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.V2.NewSummaryVec(opts)
	desc, labels := description(theirs), names(opts.VariableLabels)
	if desc.Err() != nil || panics(func() {
		prometheus.NewSummaryVec(opts.SummaryOpts, labels).WithLabelValues(make([]string, len(labels))...)
	}) {
		return theirs // which panics at its first lookup, as it does there
	}
	f.noteQuantiles(opts.SummaryOpts, desc)
	d := f.define(desc, commonOfSummary(opts.SummaryOpts), labels, func(o multiproc.Opts) (any, error) {
		return f.set.NewSummaryVec(multiproc.SummaryOpts(o), labels)
	})
	return inStore(f, d, theirs, func(in *instrument) *prometheus.SummaryVec {
		cells := in.cells.(*multiproc.SummaryVec)
		return &prometheus.SummaryVec{MetricVec: newMetricVec(f, in, cells.DeleteLabelValues, func(values []string) child {
			return newSummary(in, cells.WithLabelValues(values...), opts.SummaryOpts, values)
		})}
	})
}
