package prom

import "github.com/prometheus/client_golang/prometheus"

// All else that a file imports from client_golang's package prometheus is that
// package's own.

// Types of client_golang.
type (
	AlreadyRegisteredError = prometheus.AlreadyRegisteredError
	Collector              = prometheus.Collector
	CollectorFunc          = prometheus.CollectorFunc
	ConstrainableLabels    = prometheus.ConstrainableLabels
	ConstrainedLabel       = prometheus.ConstrainedLabel
	ConstrainedLabels      = prometheus.ConstrainedLabels
	Counter                = prometheus.Counter
	CounterFunc            = prometheus.CounterFunc
	CounterOpts            = prometheus.CounterOpts
	CounterVec             = prometheus.CounterVec
	CounterVecOpts         = prometheus.CounterVecOpts
	Desc                   = prometheus.Desc
	DescOpt                = prometheus.DescOpt
	Exemplar               = prometheus.Exemplar
	ExemplarAdder          = prometheus.ExemplarAdder
	ExemplarObserver       = prometheus.ExemplarObserver
	Gatherer               = prometheus.Gatherer
	GathererFunc           = prometheus.GathererFunc
	Gatherers              = prometheus.Gatherers
	Gauge                  = prometheus.Gauge
	GaugeFunc              = prometheus.GaugeFunc
	GaugeOpts              = prometheus.GaugeOpts
	GaugeVec               = prometheus.GaugeVec
	GaugeVecOpts           = prometheus.GaugeVecOpts
	Histogram              = prometheus.Histogram
	HistogramOpts          = prometheus.HistogramOpts
	HistogramVec           = prometheus.HistogramVec
	HistogramVecOpts       = prometheus.HistogramVecOpts
	LabelConstraint        = prometheus.LabelConstraint
	Labels                 = prometheus.Labels
	Metric                 = prometheus.Metric
	MetricVec              = prometheus.MetricVec
	MultiError             = prometheus.MultiError
	MultiTRegistry         = prometheus.MultiTRegistry
	Observer               = prometheus.Observer
	ObserverFunc           = prometheus.ObserverFunc
	ObserverVec            = prometheus.ObserverVec
	Opts                   = prometheus.Opts
	ProcessCollectorOpts   = prometheus.ProcessCollectorOpts
	Registerer             = prometheus.Registerer
	SafeMultiError         = prometheus.SafeMultiError
	Summary                = prometheus.Summary
	SummaryOpts            = prometheus.SummaryOpts
	SummaryVec             = prometheus.SummaryVec
	SummaryVecOpts         = prometheus.SummaryVecOpts
	Timer                  = prometheus.Timer
	TransactionalGatherer  = prometheus.TransactionalGatherer
	UnconstrainedLabels    = prometheus.UnconstrainedLabels
	UntypedFunc            = prometheus.UntypedFunc
	UntypedOpts            = prometheus.UntypedOpts
	ValueType              = prometheus.ValueType
)

// Constants of client_golang.
const (
	CounterValue                     = prometheus.CounterValue
	DefAgeBuckets                    = prometheus.DefAgeBuckets
	DefBufCap                        = prometheus.DefBufCap
	DefMaxAge                        = prometheus.DefMaxAge
	DefNativeHistogramZeroThreshold  = prometheus.DefNativeHistogramZeroThreshold
	ExemplarMaxRunes                 = prometheus.ExemplarMaxRunes
	GaugeValue                       = prometheus.GaugeValue
	NativeHistogramZeroThresholdZero = prometheus.NativeHistogramZeroThresholdZero
	UntypedValue                     = prometheus.UntypedValue
)

// Functions of client_golang.
var (
	BuildFQName                               = prometheus.BuildFQName
	DescribeByCollect                         = prometheus.DescribeByCollect
	ExponentialBuckets                        = prometheus.ExponentialBuckets
	ExponentialBucketsRange                   = prometheus.ExponentialBucketsRange
	LinearBuckets                             = prometheus.LinearBuckets
	MakeLabelPairs                            = prometheus.MakeLabelPairs
	MustNewConstHistogram                     = prometheus.MustNewConstHistogram
	MustNewConstHistogramWithCreatedTimestamp = prometheus.MustNewConstHistogramWithCreatedTimestamp
	MustNewConstMetric                        = prometheus.MustNewConstMetric
	MustNewConstMetricWithCreatedTimestamp    = prometheus.MustNewConstMetricWithCreatedTimestamp
	MustNewConstNativeHistogram               = prometheus.MustNewConstNativeHistogram
	MustNewConstSummary                       = prometheus.MustNewConstSummary
	MustNewConstSummaryWithCreatedTimestamp   = prometheus.MustNewConstSummaryWithCreatedTimestamp
	MustNewMetricWithExemplars                = prometheus.MustNewMetricWithExemplars
	NewConstHistogram                         = prometheus.NewConstHistogram
	NewConstHistogramWithCreatedTimestamp     = prometheus.NewConstHistogramWithCreatedTimestamp
	NewConstMetric                            = prometheus.NewConstMetric
	NewConstMetricWithCreatedTimestamp        = prometheus.NewConstMetricWithCreatedTimestamp
	NewConstNativeHistogram                   = prometheus.NewConstNativeHistogram
	NewConstSummary                           = prometheus.NewConstSummary
	NewConstSummaryWithCreatedTimestamp       = prometheus.NewConstSummaryWithCreatedTimestamp
	NewDesc                                   = prometheus.NewDesc
	NewInvalidDesc                            = prometheus.NewInvalidDesc
	NewInvalidMetric                          = prometheus.NewInvalidMetric
	NewMetricVec                              = prometheus.NewMetricVec
	NewMetricWithExemplars                    = prometheus.NewMetricWithExemplars
	NewMetricWithTimestamp                    = prometheus.NewMetricWithTimestamp
	NewMultiTRegistry                         = prometheus.NewMultiTRegistry
	NewPidFileFn                              = prometheus.NewPidFileFn
	NewTimer                                  = prometheus.NewTimer
	ToTransactionalGatherer                   = prometheus.ToTransactionalGatherer
	WithUnit                                  = prometheus.WithUnit
	WrapCollectorWith                         = prometheus.WrapCollectorWith
	WrapCollectorWithPrefix                   = prometheus.WrapCollectorWithPrefix
	WriteToTextfile                           = prometheus.WriteToTextfile
)

// Variables of client_golang. To set one here changes it here only.
var (
	CounterMetricTypePtr = prometheus.CounterMetricTypePtr
	DefBuckets           = prometheus.DefBuckets
	GaugeMetricTypePtr   = prometheus.GaugeMetricTypePtr
	UntypedMetricTypePtr = prometheus.UntypedMetricTypePtr
)

var theirV2 = prometheus.V2
