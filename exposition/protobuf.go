package exposition

import (
	"math"
	"time"

	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// protobufLayout is io.prometheus.client.MetricFamily, as in Prometheus' client_model.
// The names are those of text. Created times and exemplars are part of the family.
var protobufLayout = layout{
	emitted: map[metric.Type][]string{
		metric.Unknown:        {""},
		metric.Counter:        {"_total"},
		metric.Gauge:          {""},
		metric.Histogram:      {"", "_bucket", "_sum", "_count"},
		metric.Summary:        {"", "_sum", "_count"},
		metric.Info:           {"_info"},
		metric.StateSet:       {""},
		metric.GaugeHistogram: {"", "_bucket", "_sum", "_count"},
	},
	family: (*encoder).protobufFamily,
}

// Field numbers, by message. A test compares them with client_model.
const (
	familyName, familyHelp, familyType, familyMetric, familyUnit = 1, 2, 3, 4, 5

	metricLabel, metricGauge, metricCounter, metricSummary, metricUntyped = 1, 2, 3, 4, 5
	metricTimestamp, metricHistogram                                      = 6, 7

	labelName, labelValue = 1, 2

	valueValue                      = 1 // of a gauge, counter or untyped
	counterExemplar, counterCreated = 2, 3

	summaryCount, summarySum, summaryQuantile, summaryCreated       = 1, 2, 3, 4
	quantileQuantile, quantileValue                                 = 1, 2
	histogramCount, histogramSum, histogramBucket, histogramCreated = 1, 2, 3, 15
	histogramSchema, histogramThreshold, histogramZero              = 5, 6, 7
	histogramNegative, histogramNegativeDelta                       = 9, 10
	histogramPositive, histogramPositiveDelta, histogramExemplar    = 12, 13, 16
	spanOffset, spanLength                                          = 1, 2
	bucketCount, bucketBound, bucketExemplar                        = 1, 2, 3
	exemplarLabel, exemplarValue, exemplarTimestamp                 = 1, 2, 3
	timestampSeconds, timestampNanos                                = 1, 2
)

// protobufTypes are the values of the enum MetricType.
var protobufTypes = map[metric.Type]uint64{
	metric.Counter:        0,
	metric.Gauge:          1,
	metric.Info:           1,
	metric.StateSet:       1,
	metric.Summary:        2,
	metric.Unknown:        3,
	metric.Histogram:      4,
	metric.GaugeHistogram: 5,
}

func (e *encoder) protobufFamily(f *views.Family, series seriesList) {
	m := message{e.buf}
	family := m.begin()
	m.text(familyName, e.name+ownSuffix(f.Type))
	if f.Help != "" {
		m.text(familyHelp, validUTF8(f.Help))
	}
	m.uint(familyType, protobufTypes[f.Type])
	state := e.reservedLabel(f.Family)
	for i := range series.len() {
		s := e.series(series, i)
		if f.Type != metric.StateSet {
			m.metric(f.Type, s, e)
			continue
		}
		for _, st := range s.States {
			on := 0.0
			if st.On {
				on = 1
			}
			at := m.open(familyMetric)
			m.labels(metricLabel, s.Labels)
			m.label(metricLabel, metric.Label{Name: state, Value: validUTF8(st.Name)})
			m.value(metricGauge, on)
			m.end(at, s)
		}
	}
	if unit := e.unit(f.Family); unit != "" {
		m.text(familyUnit, unit)
	}
	m.close(family)
	e.buf = m.buf
	e.flush(flushSize)
}

// metric writes a series that is one Metric.
func (m *message) metric(t metric.Type, s *metric.Series, e *encoder) {
	at := m.open(familyMetric)
	m.labels(metricLabel, s.Labels)
	switch t {
	case metric.Counter:
		counter := m.open(metricCounter)
		m.double(valueValue, s.Value)
		m.exemplar(counterExemplar, s.Exemplar, e.escaping)
		if e.created {
			m.time(counterCreated, s.Created)
		}
		m.close(counter)
	case metric.Gauge:
		m.value(metricGauge, s.Value)
	case metric.Info:
		m.value(metricGauge, 1)
	case metric.Histogram, metric.GaugeHistogram:
		m.histogram(t, s, e)
	case metric.Summary:
		m.summary(s, e)
	default:
		m.value(metricUntyped, s.Value)
	}
	m.end(at, s)
}

// end closes a Metric.
func (m *message) end(at int, s *metric.Series) {
	if !s.Timestamp.IsZero() {
		m.uint(metricTimestamp, uint64(s.Timestamp.UnixMilli()))
	}
	m.close(at)
}

// histogram writes everything, including the sum of a histogram with negative bounds:
// if it were left out, it would be read as 0. One with native buckets needs no bucket +Inf,
// as in client_golang.
func (m *message) histogram(t metric.Type, s *metric.Series, e *encoder) {
	at := m.open(metricHistogram)
	m.uint(histogramCount, s.Count)
	if !s.NoSum {
		m.double(histogramSum, s.Sum)
	}
	native := s.Native
	if t != metric.Histogram {
		native = nil
	}
	buckets := s.Buckets
	if native != nil && len(buckets) == 1 && math.IsInf(buckets[0].UpperBound, 1) && buckets[0].Exemplar == nil {
		buckets = nil
	}
	for i := range buckets {
		b := &buckets[i]
		bucket := m.open(histogramBucket)
		m.uint(bucketCount, b.Count)
		m.double(bucketBound, b.UpperBound)
		m.exemplar(bucketExemplar, b.Exemplar, e.escaping)
		m.close(bucket)
	}
	if native != nil {
		m.native(native)
	}
	if e.created && t == metric.Histogram {
		m.time(histogramCreated, s.Created)
	}
	if native != nil {
		for _, x := range native.Exemplars {
			if !x.Timestamp.IsZero() { // receivers drop others
				m.exemplar(histogramExemplar, x, e.escaping)
			}
		}
	}
	m.close(at)
}

// native writes native buckets.
func (m *message) native(h *metric.NativeHistogram) {
	m.sint(histogramSchema, int64(h.Schema))
	m.double(histogramThreshold, h.ZeroThreshold)
	m.uint(histogramZero, h.ZeroCount)
	m.spans(histogramNegative, histogramNegativeDelta, h.Negative)
	if h.ZeroThreshold == 0 && h.ZeroCount == 0 && len(h.Positive) == 0 && len(h.Negative) == 0 {
		m.span(histogramPositive, metric.Span{}) // or it would be read as a classic one
	}
	m.spans(histogramPositive, histogramPositiveDelta, h.Positive)
}

// spans writes where buckets are, and by how much each one's count differs from that of the
// one before.
func (m *message) spans(field, delta int, spans []metric.Span) {
	for _, s := range spans {
		m.span(field, s)
	}
	before := uint64(0)
	for _, s := range spans {
		for _, n := range s.Counts {
			m.sint(delta, int64(n-before))
			before = n
		}
	}
}

func (m *message) span(field int, s metric.Span) {
	at := m.open(field)
	m.sint(spanOffset, int64(s.Offset))
	m.uint(spanLength, uint64(len(s.Counts)))
	m.close(at)
}

func (m *message) summary(s *metric.Series, e *encoder) {
	at := m.open(metricSummary)
	m.uint(summaryCount, s.Count)
	if !s.NoSum {
		m.double(summarySum, s.Sum)
	}
	for _, q := range s.Quantiles {
		quantile := m.open(summaryQuantile)
		m.double(quantileQuantile, q.Q)
		m.double(quantileValue, q.Value)
		m.close(quantile)
	}
	if e.created {
		m.time(summaryCreated, s.Created)
	}
	m.close(at)
}

// value writes a Gauge or Untyped.
func (m *message) value(field int, v float64) {
	at := m.open(field)
	m.double(valueValue, v)
	m.close(at)
}

func (m *message) labels(field int, labels metric.Labels) {
	for _, l := range labels {
		m.label(field, l)
	}
}

func (m *message) label(field int, l metric.Label) {
	at := m.open(field)
	m.text(labelName, l.Name)
	m.text(labelValue, l.Value)
	m.close(at)
}

// exemplar writes x, unless it is nil or cannot be written.
func (m *message) exemplar(field int, x *metric.Exemplar, scheme Escaping) {
	if x == nil {
		return
	}
	labels, ok := exemplarLabels(x.Labels, scheme)
	if !ok {
		return
	}
	at := m.open(field)
	m.labels(exemplarLabel, labels)
	m.double(exemplarValue, x.Value)
	m.time(exemplarTimestamp, x.Timestamp)
	m.close(at)
}

// time writes a google.protobuf.Timestamp, unless it is the zero time.
func (m *message) time(field int, t time.Time) {
	if t.IsZero() {
		return
	}
	at := m.open(field)
	if seconds := t.Unix(); seconds != 0 { // proto3 leaves zeros out
		m.uint(timestampSeconds, uint64(seconds))
	}
	if nanos := t.Nanosecond(); nanos != 0 {
		m.uint(timestampNanos, uint64(nanos))
	}
	m.close(at)
}
