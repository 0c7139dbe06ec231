package prom

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/multiproc"
)

// function is a metric over the store whose value a function tells. It is called
// by the Set: at its period (multiproc.SetOptions.PublishPeriod, 5 s) and when this
// process serves the merged view.
type function struct {
	theirs  prometheus.Metric
	untyped bool
	base
}

// Write gives what the function says.
func (f *function) Write(out *dto.Metric) error { return f.theirs.Write(out) }

// Collect sends the metric.
func (f *function) Collect(ch chan<- prometheus.Metric) { ch <- f }

// collectorMetric is what GaugeFunc, CounterFunc and UntypedFunc are.
type collectorMetric interface {
	prometheus.Metric
	prometheus.Collector
}

// function makes a metric of a function over the store.
func (f *Factory) function(theirs collectorMetric, untyped bool, opts prometheus.Opts, declare func(multiproc.Opts) (any, error)) collectorMetric {
	if theirs.Desc().Err() != nil {
		return theirs
	}
	return inStore(f, f.define(theirs.Desc(), opts, nil, declare), theirs, func(in *instrument) collectorMetric {
		return &function{theirs, untyped, newBase(in, in.cells, nil)}
	})
}

// NewGaugeFunc returns a gauge whose value function tells: when this process serves
// the merged view, and else every 5 s (multiproc.SetOptions.PublishPeriod). Its mode is
// as with NewGauge.
func (f *Factory) NewGaugeFunc(opts prometheus.GaugeOpts, function func() float64) prometheus.GaugeFunc {
	if f.plain() {
		return prometheus.NewGaugeFunc(opts, function)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	return f.function(prometheus.NewGaugeFunc(opts, function), false, prometheus.Opts(opts), func(o multiproc.Opts) (any, error) {
		return f.set.NewGaugeFunc(f.gaugeOpts(o, fullName(prometheus.Opts(opts))), function)
	})
}

// NewCounterFunc returns a counter whose value function tells, as NewGaugeFunc. The
// merged counter grows by what the function's value grows by; a lower value has begun
// again at 0.
func (f *Factory) NewCounterFunc(opts prometheus.CounterOpts, function func() float64) prometheus.CounterFunc {
	if f.plain() {
		return prometheus.NewCounterFunc(opts, function)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	return f.function(prometheus.NewCounterFunc(opts, function), false, prometheus.Opts(opts), func(o multiproc.Opts) (any, error) {
		return f.set.NewCounterFunc(multiproc.CounterOpts(o), function)
	})
}

// NewUntypedFunc returns an untyped metric whose value function tells, as
// NewGaugeFunc. It merges by the mode that a gauge of its name has, and is a gauge in
// views of the directory that are no registry of this package.
func (f *Factory) NewUntypedFunc(opts prometheus.UntypedOpts, function func() float64) prometheus.UntypedFunc {
	if f.plain() {
		return prometheus.NewUntypedFunc(opts, function)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	return f.function(prometheus.NewUntypedFunc(opts, function), true, prometheus.Opts(opts), func(o multiproc.Opts) (any, error) {
		return f.set.NewGaugeFunc(f.gaugeOpts(o, fullName(prometheus.Opts(opts))), function)
	})
}

// amend gives an untyped metric its type back, which the store does not have.
func (f *function) amend(merged *dto.Metric) {
	if merged.Gauge != nil && f.untyped {
		merged.Untyped, merged.Gauge = &dto.Untyped{Value: merged.Gauge.Value}, nil
	}
}
