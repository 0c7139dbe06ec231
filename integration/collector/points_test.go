package collector

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/machine"
	"github.com/multiprom/multiprom/metric"
)

// points are points as text, by the name of the metric and its attributes.
type points map[string]string

func (p points) add(t *testing.T, key, text string) {
	require.NotContains(t, p, key, "there twice")
	p[key] = text
}

// equal compares all points. Values of our own metrics, such as how long a scrape took, depend on
// the reader.
func (p points) equal(t *testing.T, have points) {
	var wrong []string
	for key, w := range p {
		switch h, ok := have[key]; {
		case !ok:
			wrong = append(wrong, "missing: "+key)
		case h != w && !strings.HasPrefix(key, "multiprom_"):
			wrong = append(wrong, fmt.Sprintf("%s\nwant %s\nhave %s", key, w, h))
		}
	}
	for key := range have {
		if _, ok := p[key]; !ok {
			wrong = append(wrong, "too many: "+key)
		}
	}
	slices.Sort(wrong)
	require.Empty(t, wrong[:min(len(wrong), 5)], "%d are wrong", len(wrong))
}

// variety fails the test unless there is what it is about.
func (p points) variety(t *testing.T) {
	require.Greater(t, len(p), 5000)
	found := map[string]int{}
	for key, text := range p {
		kind, _, _ := strings.Cut(text, " ")
		found[kind]++
		for _, mark := range []string{" trace=", "span=", ` unit="s"`, ` unit="By"`, " positive[", " negative[", " zero[", "type=info", "type=stateset", `{trace_id="short"}`} {
			if strings.Contains(text, mark) {
				found[mark]++
			}
		}
		if strings.HasPrefix(key, "app_gauge_") {
			name, _, _ := strings.Cut(key, "{")
			found[name]++
		}
		if strings.HasPrefix(key, "app.dötted_total{") {
			found["UTF-8"]++
		}
	}
	for mark, least := range map[string]int{
		"counter": 1000, "gauge": 1000, "updown": 3, "histogram": 400, "exponential": 200, "summary": 500, "UTF-8": 500,
		" trace=": 500, "span=": 500, ` unit="s"`: 400, ` unit="By"`: 1, " positive[": 100, " negative[": 100, " zero[": 100,
		"type=info": 1, "type=stateset": 2, `{trace_id="short"}`: 50,
	} {
		require.GreaterOrEqual(t, found[mark], least, mark)
	}
	for mode := metric.ModeAll; mode.Valid(); mode++ {
		require.GreaterOrEqual(t, found["app_gauge_"+mode.String()], 150, mode)
	}
}

// exemplarText describes an exemplar.
func exemplarText(v float64, at time.Time, trace, span string, others metric.Labels) string {
	return fmt.Sprintf("(%s at %d trace=%s span=%s %s)", form.FormatFloat(v), at.UnixNano(), trace, span, others)
}

func joined(texts []string) string {
	slices.Sort(texts)
	return " " + strings.Join(texts, " ")
}

func wantedExemplars(all ...*metric.Exemplar) string {
	var texts []string
	for _, x := range all {
		if x == nil {
			continue
		}
		var trace, span string
		var others metric.Labels
		for _, l := range x.Labels {
			switch {
			case l.Name == "trace_id" && len(l.Value) == 32:
				trace = l.Value
			case l.Name == "span_id" && len(l.Value) == 16:
				span = l.Value
			default:
				others = append(others, l)
			}
		}
		texts = append(texts, exemplarText(x.Value, x.Timestamp, trace, span, others))
	}
	slices.Sort(texts)
	return joined(slices.Compact(texts)) // classic and native buckets share some
}

func exemplarsOf(t *testing.T, all pmetric.ExemplarSlice) string {
	var texts []string
	for _, x := range all.All() {
		require.Equal(t, pmetric.ExemplarValueTypeDouble, x.ValueType())
		trace, span := x.TraceID().String(), x.SpanID().String()
		texts = append(texts, exemplarText(x.DoubleValue(), x.Timestamp().AsTime(), trace, span, labelsOf(t, x.FilteredAttributes())))
	}
	return joined(texts)
}

func labelsOf(t *testing.T, m pcommon.Map) metric.Labels {
	out := map[string]string{}
	for name, v := range m.All() {
		require.Equal(t, pcommon.ValueTypeStr, v.Type(), name)
		require.NotContains(t, out, name)
		out[name] = v.Str()
	}
	return metric.LabelsFromMap(out)
}

// spans describes the populated buckets of a sign, by their numbers in Prometheus.
func spans(name string, counts map[int]uint64) string {
	if len(counts) == 0 {
		return ""
	}
	return " " + name + strings.TrimPrefix(fmt.Sprint(counts), "map")
}

func nanos(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixNano()
}

// expected returns the points that the merged view of a directory should become, by the table in
// the documentation of package otlp.
func expected(t *testing.T, dir string) points {
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	defer a.Close()
	families, err := a.Gather(t.Context())
	require.NoError(t, err)
	out := points{}
	for _, f := range families {
		unit := map[string]string{"seconds": "s", "bytes": "By"}[f.Unit]
		if unit == "" {
			unit = f.Unit
		}
		head := fmt.Sprintf("help=%q unit=%q ", f.Help, unit)
		for _, s := range f.Series {
			labels := metric.Labels{}
			for _, l := range s.Labels {
				if l.Value != "" {
					labels = append(labels, l)
				}
			}
			start := nanos(s.Created)
			switch f.Type {
			case metric.Counter:
				out.add(t, f.Name+"_total"+labels.String(), fmt.Sprint("counter ", head, "start=", start, " ", form.FormatFloat(s.Value), wantedExemplars(s.Exemplar)))
			case metric.Gauge:
				out.add(t, f.Name+labels.String(), fmt.Sprint("gauge ", head, "start=0 ", form.FormatFloat(s.Value), " "))
			case metric.Info:
				out.add(t, f.Name+"_info"+labels.String(), fmt.Sprint("updown ", head, "type=info start=0 1 "))
			case metric.StateSet:
				for _, state := range s.States {
					on := 0
					if state.On {
						on = 1
					}
					out.add(t, f.Name+labels.With(f.Name, state.Name).String(), fmt.Sprint("updown ", head, "type=stateset start=0 ", on, " "))
				}
			case metric.Summary:
				require.Empty(t, s.Quantiles)
				out.add(t, f.Name+labels.String(), fmt.Sprint("summary ", head, "start=", start, " ", s.Count, " ", form.FormatFloat(s.Sum)))
			case metric.Histogram:
				exemplars := make([]*metric.Exemplar, 0, len(s.Buckets))
				var bounds []float64
				var counts []uint64
				before := uint64(0)
				for _, b := range s.Buckets {
					exemplars = append(exemplars, b.Exemplar)
					counts = append(counts, b.Count-before)
					before = b.Count
					if !math.IsInf(b.UpperBound, 1) {
						bounds = append(bounds, b.UpperBound)
					}
				}
				text := fmt.Sprint(head, "start=", start, " ", s.Count, " ", form.FormatFloat(s.Sum))
				if h := s.Native; h != nil {
					text = fmt.Sprint("exponential ", text, " scale=", h.Schema, " threshold=", h.ZeroThreshold)
					text += spans("zero", populated(0, h.ZeroCount)) + spans("positive", numbered(h.Positive)) + spans("negative", numbered(h.Negative))
					exemplars = append(exemplars, h.Exemplars...)
				} else {
					text = fmt.Sprint("histogram ", text, counts, bounds)
				}
				out.add(t, f.Name+labels.String(), text+wantedExemplars(exemplars...))
			default:
				require.Fail(t, "no instrument has this type", f.Type)
			}
		}
	}
	return out
}

// populated returns the counts that are not 0, from bucket first on.
func populated(first int, counts ...uint64) map[int]uint64 {
	out := map[int]uint64{}
	for i, n := range counts {
		if n > 0 {
			out[first+i] = n
		}
	}
	return out
}

func numbered(all []metric.Span) map[int]uint64 {
	out := map[int]uint64{}
	i := 0
	for _, span := range all {
		i += span.Offset
		for _, n := range span.Counts {
			if n > 0 {
				out[i] = n
			}
			i++
		}
	}
	return out
}

// received returns the points of some requests. Their resource, scope and time must be right.
func received(t *testing.T, all []pmetric.Metrics, dir string, after, before time.Time) points {
	out := points{}
	host, err := os.Hostname()
	require.NoError(t, err)
	resource := metric.MakeLabels("service.name", "shop", "deployment.environment.name", "tést", "host.name", host,
		"service.instance.id", machine.ID(host, dir))
	var at pcommon.Timestamp
	// check checks what all points have, and returns the key.
	check := func(m pmetric.Metric, attributes pcommon.Map, when pcommon.Timestamp, flags pmetric.DataPointFlags) string {
		if at == 0 {
			at = when
		}
		require.Equal(t, at, when, "a round has one time")
		require.Equal(t, pmetric.DefaultDataPointFlags, flags)
		return m.Name() + labelsOf(t, attributes).String()
	}
	for _, request := range all {
		require.Equal(t, 1, request.ResourceMetrics().Len())
		r := request.ResourceMetrics().At(0)
		require.Equal(t, resource, labelsOf(t, r.Resource().Attributes()))
		require.Equal(t, 1, r.ScopeMetrics().Len())
		s := r.ScopeMetrics().At(0)
		require.Equal(t, "github.com/multiprom/multiprom", s.Scope().Name())
		require.Zero(t, s.Scope().Attributes().Len())
		for _, m := range s.Metrics().All() {
			head := fmt.Sprintf("help=%q unit=%q ", m.Description(), m.Unit())
			for name, v := range m.Metadata().All() {
				require.Equal(t, "prometheus.type", name)
				head += "type=" + v.Str() + " "
			}
			numbers := func(kind string, points pmetric.NumberDataPointSlice) {
				for _, p := range points.All() {
					require.Equal(t, pmetric.NumberDataPointValueTypeDouble, p.ValueType())
					out.add(t, check(m, p.Attributes(), p.Timestamp(), p.Flags()),
						fmt.Sprint(kind, " ", head, "start=", uint64(p.StartTimestamp()), " ", form.FormatFloat(p.DoubleValue()), exemplarsOf(t, p.Exemplars())))
				}
			}
			switch m.Type() {
			case pmetric.MetricTypeGauge:
				numbers("gauge", m.Gauge().DataPoints())
			case pmetric.MetricTypeSum:
				require.Equal(t, pmetric.AggregationTemporalityCumulative, m.Sum().AggregationTemporality())
				kind := "updown"
				if m.Sum().IsMonotonic() {
					kind = "counter"
				}
				numbers(kind, m.Sum().DataPoints())
			case pmetric.MetricTypeSummary:
				for _, p := range m.Summary().DataPoints().All() {
					require.Zero(t, p.QuantileValues().Len())
					out.add(t, check(m, p.Attributes(), p.Timestamp(), p.Flags()),
						fmt.Sprint("summary ", head, "start=", uint64(p.StartTimestamp()), " ", p.Count(), " ", form.FormatFloat(p.Sum())))
				}
			case pmetric.MetricTypeHistogram:
				require.Equal(t, pmetric.AggregationTemporalityCumulative, m.Histogram().AggregationTemporality())
				for _, p := range m.Histogram().DataPoints().All() {
					require.True(t, p.HasSum() && !p.HasMin() && !p.HasMax())
					out.add(t, check(m, p.Attributes(), p.Timestamp(), p.Flags()),
						fmt.Sprint("histogram ", head, "start=", uint64(p.StartTimestamp()), " ", p.Count(), " ", form.FormatFloat(p.Sum()),
							p.BucketCounts().AsRaw(), p.ExplicitBounds().AsRaw(), exemplarsOf(t, p.Exemplars())))
				}
			case pmetric.MetricTypeExponentialHistogram:
				require.Equal(t, pmetric.AggregationTemporalityCumulative, m.ExponentialHistogram().AggregationTemporality())
				for _, p := range m.ExponentialHistogram().DataPoints().All() {
					require.True(t, p.HasSum() && !p.HasMin() && !p.HasMax())
					buckets := func(name string, b pmetric.ExponentialHistogramDataPointBuckets) string {
						return spans(name, populated(int(b.Offset())+1, b.BucketCounts().AsRaw()...))
					}
					out.add(t, check(m, p.Attributes(), p.Timestamp(), p.Flags()),
						fmt.Sprint("exponential ", head, "start=", uint64(p.StartTimestamp()), " ", p.Count(), " ", form.FormatFloat(p.Sum()),
							" scale=", p.Scale(), " threshold=", p.ZeroThreshold(),
							spans("zero", populated(0, p.ZeroCount())), buckets("positive", p.Positive()), buckets("negative", p.Negative()),
							exemplarsOf(t, p.Exemplars())))
				}
			default:
				require.Fail(t, "no data", m.Name())
			}
		}
	}
	require.False(t, at.AsTime().Before(after) || at.AsTime().After(before), "the time of the round")
	return out
}
