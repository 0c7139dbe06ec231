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

func newGauge(in *instrument, cells *multiproc.Gauge, values []string) *gauge {
	return &gauge{cells, newBase(in, cells, values)}
}

func (f *Factory) gaugeOpts(o multiproc.Opts, fullName string) multiproc.GaugeOpts {
	return multiproc.GaugeOpts{
		Name: o.Name, Help: o.Help, Unit: o.Unit, ConstLabels: o.ConstLabels, MaxSeries: o.MaxSeries, TTL: o.TTL,
		Mode: f.opts.Mode(fullName), Separate: o.Separate,
	}
}

// NewGauge returns a gauge. How the values of several processes merge says
// Options.Mode or WithMode.
func (f *Factory) NewGauge(opts prometheus.GaugeOpts) prometheus.Gauge {
	if f.plain() {
		return prometheus.NewGauge(opts)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.NewGauge(opts)
	if theirs.Desc().Err() != nil {
		return theirs // which no registry takes
	}
	d := f.define(theirs.Desc(), prometheus.Opts(opts), nil, func(o multiproc.Opts) (any, error) {
		return f.set.NewGauge(f.gaugeOpts(o, fullName(prometheus.Opts(opts))))
	})
	return inStore(f, d, theirs, func(in *instrument) prometheus.Gauge {
		return newGauge(in, in.cells.(*multiproc.Gauge), nil)
	})
}

// NewGaugeVec returns a family of gauges, as NewGauge.
func (f *Factory) NewGaugeVec(opts prometheus.GaugeOpts, labelNames []string) *prometheus.GaugeVec {
	return f.gaugeVec(prometheus.GaugeVecOpts{GaugeOpts: opts, VariableLabels: prometheus.UnconstrainedLabels(labelNames)})
}

func (f *Factory) gaugeVec(opts prometheus.GaugeVecOpts) *prometheus.GaugeVec {
	if f.plain() {
		return prometheus.V2.NewGaugeVec(opts)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs, labels := prometheus.V2.NewGaugeVec(opts), names(opts.VariableLabels)
	desc := description(theirs)
	if desc.Err() != nil {
		return theirs
	}
	d := f.define(desc, prometheus.Opts(opts.GaugeOpts), labels, func(o multiproc.Opts) (any, error) {
		return f.set.NewGaugeVec(f.gaugeOpts(o, fullName(prometheus.Opts(opts.GaugeOpts))), labels)
	})
	return inStore(f, d, theirs, func(in *instrument) *prometheus.GaugeVec {
		cells := in.cells.(*multiproc.GaugeVec)
		return &prometheus.GaugeVec{MetricVec: newMetricVec(f, in, cells.DeleteLabelValues, func(values []string) child {
			return newGauge(in, cells.WithLabelValues(values...), values)
		})}
	})
}
