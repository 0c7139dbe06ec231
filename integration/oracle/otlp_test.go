package oracle

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/otlp"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

// attributes returns attributes as text, with a name.
func attributes(name string, kvs []*common.KeyValue) string {
	m := map[string]string{}
	for _, kv := range kvs {
		m[kv.Key] = kv.Value.GetStringValue()
	}
	return name + metric.LabelsFromMap(m).String()
}

// exported sends families and returns each point that arrives, decoded with OpenTelemetry's own
// messages: name and attributes, and everything else as text.
func exported(t *testing.T, families []*metric.Family, at time.Time, batch int) map[string]string {
	got := map[string]string{}
	add := func(key, text string) {
		require.NotContains(t, got, key)
		got[key] = text
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		require.NoError(t, err)
		b, err := io.ReadAll(z)
		require.NoError(t, err)
		var m metrics.MetricsData // the same fields as an ExportMetricsServiceRequest
		require.NoError(t, proto.UnmarshalOptions{}.Unmarshal(b, &m))
		require.Empty(t, m.ProtoReflect().GetUnknown())
		require.Len(t, m.ResourceMetrics, 1)
		require.Equal(t, `{"service.instance.id"="i","service.name"="s"}`, attributes("", m.ResourceMetrics[0].Resource.Attributes))
		for _, m := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
			head := fmt.Sprintf("%q %q ", m.Description, m.Unit)
			number := func(kind string, points []*metrics.NumberDataPoint) {
				for _, p := range points {
					text := fmt.Sprint(head, kind, p.StartTimeUnixNano, " ", p.TimeUnixNano, " ", form.FormatFloat(p.GetAsDouble()))
					for _, x := range p.Exemplars {
						text += exemplarText(x)
					}
					add(attributes(m.Name, p.Attributes), text)
				}
			}
			switch d := m.Data.(type) {
			case *metrics.Metric_Gauge:
				number("gauge ", d.Gauge.DataPoints)
			case *metrics.Metric_Sum:
				require.Equal(t, metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, d.Sum.AggregationTemporality)
				number(fmt.Sprint("sum ", d.Sum.IsMonotonic, " "), d.Sum.DataPoints)
			case *metrics.Metric_Histogram:
				require.Equal(t, metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, d.Histogram.AggregationTemporality)
				for _, p := range d.Histogram.DataPoints {
					sum := "none"
					if p.Sum != nil {
						sum = form.FormatFloat(*p.Sum)
					}
					text := fmt.Sprint(head, "histogram ", p.StartTimeUnixNano, " ", p.TimeUnixNano, " ", p.Count, " ", sum, p.BucketCounts, p.ExplicitBounds)
					for _, x := range p.Exemplars {
						text += exemplarText(x)
					}
					add(attributes(m.Name, p.Attributes), text)
				}
			case *metrics.Metric_ExponentialHistogram:
				require.Equal(t, metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, d.ExponentialHistogram.AggregationTemporality)
				for _, p := range d.ExponentialHistogram.DataPoints {
					add(attributes(m.Name, p.Attributes), head+exponentialText(t, p))
				}
			case *metrics.Metric_Summary:
				for _, p := range d.Summary.DataPoints {
					text := fmt.Sprint(head, "summary ", p.StartTimeUnixNano, " ", p.TimeUnixNano, " ", p.Count, " ", form.FormatFloat(p.Sum))
					for _, q := range p.QuantileValues {
						text += fmt.Sprint(" ", q.Quantile, "=", form.FormatFloat(q.Value))
					}
					add(attributes(m.Name, p.Attributes), text)
				}
			}
		}
	}))
	defer s.Close()
	e, err := otlp.New(otlp.Options{
		Options:  delivery.Options{URL: s.URL, MaxSamples: batch, Now: func() time.Time { return at }},
		Resource: map[string]string{"service.name": "s", "service.instance.id": "i", "host.name": ""},
	})
	require.NoError(t, err)
	require.NoError(t, e.Push(t.Context(), gather.Func(func(context.Context) ([]*metric.Family, error) { return families, nil })))
	return got
}

func exemplarText(x *metrics.Exemplar) string {
	return fmt.Sprint(" ", attributes("", x.FilteredAttributes), x.TimeUnixNano, " ", form.FormatFloat(x.GetAsDouble()))
}

// TestOTLP: OpenTelemetry's own messages have each series of random families, in batches of any
// size.
func TestOTLP(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	for seed := range uint64(300) {
		families := randfamily.New(seed).Families(true)
		want := map[string]string{}
		for _, f := range families {
			unit := f.Unit
			if unit == "seconds" {
				unit = "s"
			}
			for _, s := range f.Series {
				head := fmt.Sprintf("%q %q ", f.Help, unit)
				when, began := uint64(at.UnixNano()), uint64(0)
				if !s.Timestamp.IsZero() {
					when = uint64(s.Timestamp.UnixNano())
				}
				if !s.Created.IsZero() && slices.Contains([]metric.Type{metric.Counter, metric.Histogram, metric.Summary}, f.Type) {
					if began = uint64(s.Created.UnixNano()); began > when { // no point is older than its start
						began = 0
					}
				}
				exemplar := func(x *metric.Exemplar) string {
					if x == nil || openmetrics.CheckExemplar(x.Labels) != nil {
						return ""
					}
					ts := when
					if !x.Timestamp.IsZero() {
						ts = uint64(x.Timestamp.UnixNano())
					}
					return fmt.Sprint(" ", x.Labels.String(), ts, " ", form.FormatFloat(x.Value))
				}
				labels := metric.Labels{}
				for _, l := range s.Labels {
					if l.Value != "" && l.Name != f.Type.ReservedLabel(f.Name) {
						labels = append(labels, l)
					}
				}
				number := func(name, kind string, labels metric.Labels, v float64, x *metric.Exemplar) {
					want[name+labels.String()] = fmt.Sprint(head, kind, began, " ", when, " ", form.FormatFloat(v), exemplar(x))
				}
				switch f.Type {
				case metric.Counter:
					number(f.Name+"_total", "sum true ", labels, s.Value, s.Exemplar)
				case metric.Info:
					number(f.Name+"_info", "sum false ", labels, 1, nil)
				case metric.StateSet:
					for _, st := range s.States {
						v := 0.0
						if st.On {
							v = 1
						}
						number(f.Name, "sum false ", labels.With(f.Name, st.Name), v, nil)
					}
				case metric.GaugeHistogram:
					for _, b := range s.Buckets {
						number(f.Name+"_bucket", "gauge ", labels.With("le", string(form.AppendCanonical(nil, b.UpperBound))), float64(b.Count), nil)
					}
					number(f.Name+"_gcount", "gauge ", labels, float64(s.Count), nil)
					if !s.NoSum {
						number(f.Name+"_gsum", "gauge ", labels, s.Sum, nil)
					}
				case metric.Histogram:
					if s.Native != nil {
						text := wantedExponential(&s, began, when)
						for _, x := range allExemplars(&s) {
							text += exemplar(x)
						}
						want[f.Name+labels.String()] = head + text
						continue
					}
					sum := "none"
					if !s.NoSum {
						sum = form.FormatFloat(s.Sum)
					}
					var counts []uint64
					var bounds []float64
					before, exemplars := uint64(0), ""
					for _, b := range s.Buckets {
						counts = append(counts, b.Count-before)
						before = b.Count
						if !math.IsInf(b.UpperBound, 1) {
							bounds = append(bounds, b.UpperBound)
						}
						exemplars += exemplar(b.Exemplar)
					}
					if len(counts) == len(bounds) {
						counts = append(counts, s.Count-before)
					}
					want[f.Name+labels.String()] = fmt.Sprint(head, "histogram ", began, " ", when, " ", s.Count, " ", sum, counts, bounds, exemplars)
				case metric.Summary:
					sum := s.Sum
					if s.NoSum {
						sum = 0
					}
					text := fmt.Sprint(head, "summary ", began, " ", when, " ", s.Count, " ", form.FormatFloat(sum))
					for _, q := range s.Quantiles {
						text += fmt.Sprint(" ", q.Q, "=", form.FormatFloat(q.Value))
					}
					want[f.Name+labels.String()] = text
				default:
					number(f.Name, "gauge ", labels, s.Value, s.Exemplar)
				}
			}
		}
		require.Equal(t, want, exported(t, families, at, 1+int(seed)%20), "seed %d", seed)
	}
}

// exponentialText describes a point: each populated bucket with its number as Prometheus counts.
func exponentialText(t *testing.T, p *metrics.ExponentialHistogramDataPoint) string {
	sum := "none"
	if p.Sum != nil {
		sum = form.FormatFloat(*p.Sum)
	}
	text := fmt.Sprint("exponential ", p.StartTimeUnixNano, " ", p.TimeUnixNano, " ", p.Count, " ", sum, " ", p.Scale, " ", p.ZeroThreshold, " ", p.ZeroCount)
	total := p.ZeroCount
	for _, b := range []*metrics.ExponentialHistogramDataPoint_Buckets{p.GetPositive(), p.GetNegative()} {
		text += ";"
		require.LessOrEqual(t, len(b.GetBucketCounts()), 1280)
		for i, n := range b.GetBucketCounts() {
			if n > 0 {
				text += fmt.Sprint(" ", b.GetOffset()+int32(i)+1, ":", n)
			}
			total += n
		}
	}
	require.Equal(t, total, p.Count)
	for _, x := range p.Exemplars {
		text += exemplarText(x)
	}
	return text
}

// wantedExponential is exponentialText of what should arrive, without exemplars.
func wantedExponential(s *metric.Series, began, when uint64) string {
	h := s.Native
	sum := "none"
	if !s.NoSum && !math.IsNaN(s.Sum) && !math.IsInf(s.Sum, 0) {
		sum = form.FormatFloat(s.Sum)
	}
	buckets, count := "", h.ZeroCount
	for _, spans := range [][]metric.Span{h.Positive, h.Negative} {
		buckets += ";"
		i := 0
		for _, span := range spans {
			i += span.Offset
			for _, n := range span.Counts {
				if n > 0 {
					buckets += fmt.Sprint(" ", i, ":", n)
				}
				count += n
				i++
			}
		}
	}
	return fmt.Sprint("exponential ", began, " ", when, " ", count, " ", sum, " ", h.Schema, " ", h.ZeroThreshold, " ", h.ZeroCount, buckets)
}

// allExemplars returns the exemplars of all buckets, also those without a time.
func allExemplars(s *metric.Series) (all []*metric.Exemplar) {
	for _, b := range s.Buckets {
		if b.Exemplar != nil {
			all = append(all, b.Exemplar)
		}
	}
	return append(all, s.Native.Exemplars...)
}
