package promauto

import "github.com/multiprom/multiprom/compat/prom"

// Factory makes metrics and registers them.
type Factory struct {
	factory *prom.Factory
	r       prom.Registerer // nil registers nothing
}

// With returns a Factory that registers with r, or nowhere if r is nil.
func With(r prom.Registerer) Factory { return From(prom.Default(), r) }

// From returns a Factory that makes metrics by f and registers them with r, or
// nowhere if r is nil. They have the labels and the prefix that
// prom.WrapRegistererWith and prom.WrapRegistererWithPrefix gave r.
func From(f *prom.Factory, r prom.Registerer) Factory {
	f, r = f.Within(r)
	return Factory{f, r}
}

func registered[C prom.Collector](f Factory, c C) C {
	if f.r != nil {
		f.r.MustRegister(c)
	}
	return c
}

// NewCounter is prom.Factory.NewCounter, registered.
func (f Factory) NewCounter(opts prom.CounterOpts) prom.Counter {
	return registered(f, f.factory.NewCounter(opts))
}

// NewCounterVec is prom.Factory.NewCounterVec, registered.
func (f Factory) NewCounterVec(opts prom.CounterOpts, labelNames []string) *prom.CounterVec {
	return registered(f, f.factory.NewCounterVec(opts, labelNames))
}

// NewCounterFunc is prom.Factory.NewCounterFunc, registered.
func (f Factory) NewCounterFunc(opts prom.CounterOpts, function func() float64) prom.CounterFunc {
	return registered(f, f.factory.NewCounterFunc(opts, function))
}

// NewGauge is prom.Factory.NewGauge, registered.
func (f Factory) NewGauge(opts prom.GaugeOpts) prom.Gauge {
	return registered(f, f.factory.NewGauge(opts))
}

// NewGaugeVec is prom.Factory.NewGaugeVec, registered.
func (f Factory) NewGaugeVec(opts prom.GaugeOpts, labelNames []string) *prom.GaugeVec {
	return registered(f, f.factory.NewGaugeVec(opts, labelNames))
}

// NewGaugeFunc is prom.Factory.NewGaugeFunc, registered.
func (f Factory) NewGaugeFunc(opts prom.GaugeOpts, function func() float64) prom.GaugeFunc {
	return registered(f, f.factory.NewGaugeFunc(opts, function))
}

// NewHistogram is prom.Factory.NewHistogram, registered.
func (f Factory) NewHistogram(opts prom.HistogramOpts) prom.Histogram {
	return registered(f, f.factory.NewHistogram(opts))
}

// NewHistogramVec is prom.Factory.NewHistogramVec, registered.
func (f Factory) NewHistogramVec(opts prom.HistogramOpts, labelNames []string) *prom.HistogramVec {
	return registered(f, f.factory.NewHistogramVec(opts, labelNames))
}

// NewSummary is prom.Factory.NewSummary, registered.
func (f Factory) NewSummary(opts prom.SummaryOpts) prom.Summary {
	return registered(f, f.factory.NewSummary(opts))
}

// NewSummaryVec is prom.Factory.NewSummaryVec, registered.
func (f Factory) NewSummaryVec(opts prom.SummaryOpts, labelNames []string) *prom.SummaryVec {
	return registered(f, f.factory.NewSummaryVec(opts, labelNames))
}

// NewUntypedFunc is prom.Factory.NewUntypedFunc, registered.
func (f Factory) NewUntypedFunc(opts prom.UntypedOpts, function func() float64) prom.UntypedFunc {
	return registered(f, f.factory.NewUntypedFunc(opts, function))
}

func standard() Factory { return With(prom.DefaultRegisterer) }

// NewCounter is prom.NewCounter, registered with prom.DefaultRegisterer.
func NewCounter(opts prom.CounterOpts) prom.Counter {
	return standard().NewCounter(opts)
}

// NewCounterVec is prom.NewCounterVec, registered with prom.DefaultRegisterer.
func NewCounterVec(opts prom.CounterOpts, labelNames []string) *prom.CounterVec {
	return standard().NewCounterVec(opts, labelNames)
}

// NewCounterFunc is prom.NewCounterFunc, registered with prom.DefaultRegisterer.
func NewCounterFunc(opts prom.CounterOpts, function func() float64) prom.CounterFunc {
	return standard().NewCounterFunc(opts, function)
}

// NewGauge is prom.NewGauge, registered with prom.DefaultRegisterer.
func NewGauge(opts prom.GaugeOpts) prom.Gauge {
	return standard().NewGauge(opts)
}

// NewGaugeVec is prom.NewGaugeVec, registered with prom.DefaultRegisterer.
func NewGaugeVec(opts prom.GaugeOpts, labelNames []string) *prom.GaugeVec {
	return standard().NewGaugeVec(opts, labelNames)
}

// NewGaugeFunc is prom.NewGaugeFunc, registered with prom.DefaultRegisterer.
func NewGaugeFunc(opts prom.GaugeOpts, function func() float64) prom.GaugeFunc {
	return standard().NewGaugeFunc(opts, function)
}

// NewHistogram is prom.NewHistogram, registered with prom.DefaultRegisterer.
func NewHistogram(opts prom.HistogramOpts) prom.Histogram {
	return standard().NewHistogram(opts)
}

// NewHistogramVec is prom.NewHistogramVec, registered with prom.DefaultRegisterer.
func NewHistogramVec(opts prom.HistogramOpts, labelNames []string) *prom.HistogramVec {
	return standard().NewHistogramVec(opts, labelNames)
}

// NewSummary is prom.NewSummary, registered with prom.DefaultRegisterer.
func NewSummary(opts prom.SummaryOpts) prom.Summary {
	return standard().NewSummary(opts)
}

// NewSummaryVec is prom.NewSummaryVec, registered with prom.DefaultRegisterer.
func NewSummaryVec(opts prom.SummaryOpts, labelNames []string) *prom.SummaryVec {
	return standard().NewSummaryVec(opts, labelNames)
}

// NewUntypedFunc is prom.NewUntypedFunc, registered with prom.DefaultRegisterer.
func NewUntypedFunc(opts prom.UntypedOpts, function func() float64) prom.UntypedFunc {
	return standard().NewUntypedFunc(opts, function)
}
