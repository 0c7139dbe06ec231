package prom

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/multiproc"
)

// gauge is a prometheus.Gauge over cells of the store. The mostrecent modes know
// no differences: there, Inc, Dec, Add and Sub are dropped and counted as
// invalid updates.
type gauge struct {
	*multiproc.Gauge
	base
}

// Write gives what this process has set.
func (g *gauge) Write(out *dto.Metric) error {
	out.Label = g.labels
	out.Gauge = &dto.Gauge{Value: new(g.Value())}
	return nil
}

// Collect sends the gauge.
func (g *gauge) Collect(ch chan<- prometheus.Metric) { ch <- g }

func newGauge(desc *prometheus.Desc, cells *multiproc.Gauge, values []string) *gauge {
	return &gauge{cells, newBase(desc, values)}
}

func (f *Factory) gaugeOpts(opts prometheus.Opts) multiproc.GaugeOpts {
	o := f.common(opts)
	return multiproc.GaugeOpts{
		Name: o.Name, Help: o.Help, Unit: o.Unit, ConstLabels: o.ConstLabels, MaxSeries: o.MaxSeries,
		Mode: f.opts.Mode(o.Name),
	}
}

// NewGauge returns a gauge. How the values of several processes merge says
// Options.Mode or WithMode.
func (f *Factory) NewGauge(opts prometheus.GaugeOpts) prometheus.Gauge {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.NewGauge(opts)
	desc := theirs.Desc()
	if desc.Err() != nil {
		return theirs // which no registry takes
	}
	cells := multiproc.Must(f.set.NewGauge(f.gaugeOpts(prometheus.Opts(opts))))
	return once(f.made, cells, desc, func() prometheus.Gauge { return newGauge(desc, cells, nil) })
}

// NewGaugeVec returns a family of gauges, as NewGauge.
func (f *Factory) NewGaugeVec(opts prometheus.GaugeOpts, labelNames []string) *prometheus.GaugeVec {
	return f.gaugeVec(prometheus.GaugeVecOpts{GaugeOpts: opts, VariableLabels: prometheus.UnconstrainedLabels(labelNames)})
}

func (f *Factory) gaugeVec(opts prometheus.GaugeVecOpts) *prometheus.GaugeVec {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.V2.NewGaugeVec(opts)
	desc := description(theirs)
	if desc.Err() != nil {
		return theirs
	}
	cells := multiproc.Must(f.set.NewGaugeVec(f.gaugeOpts(prometheus.Opts(opts.GaugeOpts)), names(opts.VariableLabels)))
	return once(f.made, cells, desc, func() *prometheus.GaugeVec {
		return &prometheus.GaugeVec{MetricVec: newMetricVec(f, desc, cells.DeleteLabelValues, func(values []string) child {
			return newGauge(desc, cells.WithLabelValues(values...), values)
		})}
	})
}

// NewGaugeFunc returns a gauge whose value function tells: at each collection,
// and for the merged view when this process serves it, and else every 5 s
// (multiproc.SetOptions.PublishPeriod). Its mode is as with NewGauge.
func (f *Factory) NewGaugeFunc(opts prometheus.GaugeOpts, function func() float64) prometheus.GaugeFunc {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.NewGaugeFunc(opts, function)
	desc := theirs.Desc()
	if desc.Err() != nil {
		return theirs
	}
	cells := multiproc.Must(f.set.NewGaugeFunc(f.gaugeOpts(prometheus.Opts(opts)), function))
	return once(f.made, cells, desc, func() prometheus.GaugeFunc { return theirs })
}

// NewUntypedFunc returns client_golang's own: it is not in the merged view.
func (f *Factory) NewUntypedFunc(opts prometheus.UntypedOpts, function func() float64) prometheus.UntypedFunc {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	return prometheus.NewUntypedFunc(opts, function)
}
