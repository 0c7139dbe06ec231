package prom

// The constructors of client_golang, by the default Factory.

// NewCounter is Factory.NewCounter.
func NewCounter(opts CounterOpts) Counter { return Default().NewCounter(opts) }

// NewCounterVec is Factory.NewCounterVec.
func NewCounterVec(opts CounterOpts, labelNames []string) *CounterVec {
	return Default().NewCounterVec(opts, labelNames)
}

// NewCounterFunc is Factory.NewCounterFunc: it is not in the merged view.
func NewCounterFunc(opts CounterOpts, function func() float64) CounterFunc {
	return Default().NewCounterFunc(opts, function)
}

// NewGauge is Factory.NewGauge.
func NewGauge(opts GaugeOpts) Gauge { return Default().NewGauge(opts) }

// NewGaugeVec is Factory.NewGaugeVec.
func NewGaugeVec(opts GaugeOpts, labelNames []string) *GaugeVec {
	return Default().NewGaugeVec(opts, labelNames)
}

// NewGaugeFunc is Factory.NewGaugeFunc.
func NewGaugeFunc(opts GaugeOpts, function func() float64) GaugeFunc {
	return Default().NewGaugeFunc(opts, function)
}

// NewHistogram is Factory.NewHistogram.
func NewHistogram(opts HistogramOpts) Histogram { return Default().NewHistogram(opts) }

// NewHistogramVec is Factory.NewHistogramVec.
func NewHistogramVec(opts HistogramOpts, labelNames []string) *HistogramVec {
	return Default().NewHistogramVec(opts, labelNames)
}

// NewSummary is Factory.NewSummary.
func NewSummary(opts SummaryOpts) Summary { return Default().NewSummary(opts) }

// NewSummaryVec is Factory.NewSummaryVec.
func NewSummaryVec(opts SummaryOpts, labelNames []string) *SummaryVec {
	return Default().NewSummaryVec(opts, labelNames)
}

// NewUntypedFunc is Factory.NewUntypedFunc: it is not in the merged view.
func NewUntypedFunc(opts UntypedOpts, function func() float64) UntypedFunc {
	return Default().NewUntypedFunc(opts, function)
}

// V2 has the constructors that take constrained labels, as client_golang's V2.
var V2 = v2{}

type v2 struct{}

// NewDesc is that of client_golang's V2.
func (v2) NewDesc(fqName, help string, variableLabels ConstrainableLabels, constLabels Labels, opts ...DescOpt) *Desc {
	return theirV2.NewDesc(fqName, help, variableLabels, constLabels, opts...)
}

// NewCounterVec is Factory.NewCounterVec with constrained labels.
func (v2) NewCounterVec(opts CounterVecOpts) *CounterVec { return Default().counterVec(opts) }

// NewGaugeVec is Factory.NewGaugeVec with constrained labels.
func (v2) NewGaugeVec(opts GaugeVecOpts) *GaugeVec { return Default().gaugeVec(opts) }

// NewHistogramVec is Factory.NewHistogramVec with constrained labels.
func (v2) NewHistogramVec(opts HistogramVecOpts) *HistogramVec { return Default().histogramVec(opts) }

// NewSummaryVec is Factory.NewSummaryVec with constrained labels.
func (v2) NewSummaryVec(opts SummaryVecOpts) *SummaryVec { return Default().summaryVec(opts) }
