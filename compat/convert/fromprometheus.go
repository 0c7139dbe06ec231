package convert

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/multiprom/multiprom/gather"
	nativehistogram "github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
)

// ErrUnsupported is matched by the error of a family that a registry of this
// module cannot hold: a histogram whose counts are no integers, or whose native
// buckets have a schema that servers do not read.
var ErrUnsupported = errors.New("metric cannot be converted")

// Source is a prometheus.Gatherer as a collector and a gatherer of this module.
type Source struct{ from prometheus.Gatherer }

// FromGatherer returns what g gathers, for example a prometheus.Registry.
func FromGatherer(g prometheus.Gatherer) *Source { return &Source{g} }

// FromCollector returns what c collects. The error is that of client_golang's
// registry, where c describes what is invalid or contradicts itself.
func FromCollector(c prometheus.Collector) (*Source, error) {
	// A registry of its own checks what c collects as client_golang would.
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	return FromGatherer(r), nil
}

var (
	_ registry.Collector = (*Source)(nil)
	_ gather.Gatherer    = (*Source)(nil)
)

// Collect implements registry.Collector. client_golang has no contexts: a
// registry that has waited long enough abandons the call.
func (s *Source) Collect(ctx context.Context) ([]*metric.Family, error) { return s.Gather(ctx) }

// Gather implements gather.Gatherer.
func (s *Source) Gather(context.Context) ([]*metric.Family, error) {
	families, err := s.from.Gather()
	out, convertErr := Families(families)
	return out, errors.Join(err, convertErr)
}

// Families returns families of client_golang as ours, sorted. Those that cannot
// be converted are left out, and the error, which matches ErrUnsupported, names
// them. A counter x_total that stands beside another family x, as OpenMetrics
// does not have it, becomes one of type unknown. It checks nothing else: a Registry
// does.
func Families(families []*dto.MetricFamily) ([]*metric.Family, error) {
	out := make([]*metric.Family, 0, len(families))
	names := make(map[string]bool, len(families))
	for _, from := range families {
		names[from.GetName()] = true
	}
	var errs []error
	for _, from := range families {
		if f, err := family(from, names); err != nil {
			errs = append(errs, fmt.Errorf("convert: %q: %w", from.GetName(), err))
		} else {
			out = append(out, f)
		}
	}
	metric.SortFamilies(out)
	return out, errors.Join(errs...)
}

var types = map[dto.MetricType]metric.Type{
	dto.MetricType_COUNTER:         metric.Counter,
	dto.MetricType_GAUGE:           metric.Gauge,
	dto.MetricType_SUMMARY:         metric.Summary,
	dto.MetricType_UNTYPED:         metric.Unknown,
	dto.MetricType_HISTOGRAM:       metric.Histogram,
	dto.MetricType_GAUGE_HISTOGRAM: metric.GaugeHistogram,
}

// family converts one of several families that have these names.
func family(from *dto.MetricFamily, names map[string]bool) (*metric.Family, error) {
	t, ok := types[from.GetType()]
	if !ok {
		return nil, fmt.Errorf("%w: its type is %s", ErrUnsupported, from.GetType())
	}
	name := from.GetName()
	if base, found := strings.CutSuffix(name, "_total"); t == metric.Counter && found {
		// A collector's counter has no name that ends in _total twice: see registry.
		if names[base] || strings.HasSuffix(base, "_total") || base == "" {
			t = metric.Unknown
		} else {
			name = base
		}
	}
	f := &metric.Family{
		Name: name, Help: from.GetHelp(), Type: t,
		Series: make([]metric.Series, len(from.Metric)),
	}
	// client_golang lets a unit stand beside any name.
	if unit := from.GetUnit(); unit != "" && strings.HasSuffix(f.Name, "_"+unit) {
		f.Unit = unit
	}
	for i, m := range from.Metric {
		s := &f.Series[i]
		s.Labels = labels(m.Label)
		if m.TimestampMs != nil {
			s.Timestamp = time.UnixMilli(m.GetTimestampMs())
		}
		if err := fill(s, t, m); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// fill sets what depends on the type.
func fill(s *metric.Series, t metric.Type, m *dto.Metric) error {
	switch t {
	case metric.Counter:
		s.Value, s.Created = m.Counter.GetValue(), timeOf(m.Counter.GetCreatedTimestamp())
		s.Exemplar = exemplar(m.Counter.GetExemplar())
	case metric.Gauge:
		s.Value = m.Gauge.GetValue()
	case metric.Unknown:
		s.Value = m.Untyped.GetValue()
		if m.Counter != nil { // beside another family
			s.Value = m.Counter.GetValue()
		}
	case metric.Summary:
		from := m.Summary
		s.Count, s.Sum, s.NoSum = from.GetSampleCount(), from.GetSampleSum(), from.SampleSum == nil
		s.Created = timeOf(from.GetCreatedTimestamp())
		for _, q := range from.GetQuantile() {
			s.Quantiles = append(s.Quantiles, metric.Quantile{Q: q.GetQuantile(), Value: q.GetValue()})
		}
	default:
		return histogram(s, t, m.Histogram)
	}
	return nil
}

func histogram(s *metric.Series, t metric.Type, from *dto.Histogram) error {
	if from.GetSampleCountFloat() != 0 {
		return fmt.Errorf("%w: the count %v of its histogram is no integer", ErrUnsupported, from.GetSampleCountFloat())
	}
	s.Count, s.Sum, s.NoSum = from.GetSampleCount(), from.GetSampleSum(), from.SampleSum == nil
	s.Created = timeOf(from.GetCreatedTimestamp())
	for _, b := range from.GetBucket() {
		s.Buckets = append(s.Buckets, metric.Bucket{
			UpperBound: b.GetUpperBound(), Count: b.GetCumulativeCount(), Exemplar: exemplar(b.Exemplar),
		})
	}
	// client_golang leaves the bucket +Inf out unless it has an exemplar.
	if n := len(s.Buckets); n == 0 || !math.IsInf(s.Buckets[n-1].UpperBound, 1) {
		s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: math.Inf(1), Count: s.Count})
	}
	if t != metric.Histogram || !isNative(from) {
		return nil
	}
	if schema := int(from.GetSchema()); schema < nativehistogram.MinSchema || schema > nativehistogram.MaxSchema {
		return fmt.Errorf("%w: the schema of its native histogram is %d", ErrUnsupported, schema)
	}
	s.Native = &metric.NativeHistogram{
		Schema: int(from.GetSchema()), ZeroThreshold: from.GetZeroThreshold(), ZeroCount: from.GetZeroCount(),
	}
	var ok, negative bool
	s.Native.Positive, ok = spans(from.GetPositiveSpan(), from.GetPositiveDelta())
	s.Native.Negative, negative = spans(from.GetNegativeSpan(), from.GetNegativeDelta())
	if !ok || !negative {
		return fmt.Errorf("%w: the spans of its native histogram have another number of buckets than it has", ErrUnsupported)
	}
	for _, x := range from.GetExemplars() {
		s.Native.Exemplars = append(s.Native.Exemplars, exemplar(x))
	}
	return nil
}

// isNative reports whether a histogram has native buckets, by the rule of a server. One in
// which nothing was observed has a threshold or an empty span.
func isNative(h *dto.Histogram) bool {
	return len(h.PositiveSpan) > 0 || len(h.NegativeSpan) > 0 || h.GetZeroThreshold() > 0 || h.GetZeroCount() > 0
}

// spans converts the buckets of one sign. ok is false if there are more or fewer than the
// spans say.
func spans(from []*dto.BucketSpan, deltas []int64) (out []metric.Span, ok bool) {
	count := int64(0)
	for _, s := range from {
		n := int(s.GetLength())
		if n > len(deltas) {
			return nil, false
		}
		if n == 0 && len(from) == 1 {
			break // it says that the histogram is native
		}
		counts := make([]uint64, n)
		for i, d := range deltas[:n] {
			count += d
			counts[i] = uint64(count)
		}
		deltas = deltas[n:]
		out = append(out, metric.Span{Offset: int(s.GetOffset()), Counts: counts})
	}
	return out, len(deltas) == 0
}

func labels(pairs []*dto.LabelPair) metric.Labels {
	if len(pairs) == 0 {
		return nil
	}
	out := make(metric.Labels, len(pairs))
	for i, p := range pairs {
		out[i] = metric.Label{Name: p.GetName(), Value: p.GetValue()}
	}
	out.Sort()
	return out
}

func exemplar(from *dto.Exemplar) *metric.Exemplar {
	if from == nil {
		return nil
	}
	return &metric.Exemplar{Labels: labels(from.Label), Value: from.GetValue(), Timestamp: timeOf(from.Timestamp)}
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
