package prom

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/multiproc"
)

// summary is a prometheus.Summary over cells of the store: count and sum.
type summary struct {
	*multiproc.Summary
	base
}

// Write gives what this process has observed.
func (s *summary) Write(out *dto.Metric) error {
	count, sum := s.Values()
	out.Label = s.labels
	out.Summary = &dto.Summary{SampleCount: new(count), SampleSum: new(sum), CreatedTimestamp: s.created}
	return nil
}

// Collect sends the summary.
func (s *summary) Collect(ch chan<- prometheus.Metric) { ch <- s }

func newSummary(desc *prometheus.Desc, cells *multiproc.Summary, values []string) *summary {
	return &summary{cells, newBase(desc, values)}
}

func (f *Factory) summaryOpts(opts prometheus.SummaryOpts) multiproc.SummaryOpts {
	return multiproc.SummaryOpts(f.common(prometheus.Opts{
		Namespace: opts.Namespace, Subsystem: opts.Subsystem, Name: opts.Name,
		Help: opts.Help, Unit: opts.Unit, ConstLabels: opts.ConstLabels,
	}))
}

// NewSummary returns a summary without quantiles, also where opts has
// objectives: those of several processes cannot be merged. Where quantiles are
// wanted, use a histogram.
func (f *Factory) NewSummary(opts prometheus.SummaryOpts) prometheus.Summary {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.NewSummary(opts)
	desc := theirs.Desc()
	if desc.Err() != nil {
		return theirs // which no registry takes
	}
	cells := multiproc.Must(f.set.NewSummary(f.summaryOpts(opts)))
	return once(f.made, cells, desc, func() prometheus.Summary { return newSummary(desc, cells, nil) })
}

// NewSummaryVec returns a family of summaries, as NewSummary.
func (f *Factory) NewSummaryVec(opts prometheus.SummaryOpts, labelNames []string) *prometheus.SummaryVec {
	return f.summaryVec(prometheus.SummaryVecOpts{SummaryOpts: opts, VariableLabels: prometheus.UnconstrainedLabels(labelNames)})
}

func (f *Factory) summaryVec(opts prometheus.SummaryVecOpts) *prometheus.SummaryVec {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.V2.NewSummaryVec(opts)
	desc, labels := description(theirs), names(opts.VariableLabels)
	if desc.Err() != nil || panics(func() {
		prometheus.NewSummaryVec(opts.SummaryOpts, labels).WithLabelValues(make([]string, len(labels))...)
	}) {
		return theirs // which panics at its first lookup, as it does there
	}
	cells := multiproc.Must(f.set.NewSummaryVec(f.summaryOpts(opts.SummaryOpts), labels))
	return once(f.made, cells, desc, func() *prometheus.SummaryVec {
		return &prometheus.SummaryVec{MetricVec: newMetricVec(f, desc, cells.DeleteLabelValues, func(values []string) child {
			return newSummary(desc, cells.WithLabelValues(values...), values)
		})}
	})
}
