package exposition

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

func TestOpenMetricsAlone(t *testing.T) {
	bare := func(typ metric.Type, series ...metric.Series) *metric.Family {
		return &metric.Family{Name: "x", Type: typ, Series: series}
	}
	below := metric.Cumulate([]float64{-1}, []uint64{1, 1})
	above := metric.Cumulate([]float64{0}, []uint64{1, 1})
	for _, tt := range []struct {
		name   string
		family *metric.Family
		want   string
	}{
		{"nothing", bare(metric.Gauge), ""},
		{"a sum that is NaN goes with its count", bare(metric.Histogram, metric.Series{Buckets: above, Count: 2, Sum: math.NaN()}),
			"# TYPE x histogram\nx_bucket{le=\"0.0\"} 1\nx_bucket{le=\"+Inf\"} 2\n"},
		{"so does a negative one", bare(metric.Histogram, metric.Series{Buckets: above, Count: 2, Sum: -1}),
			"# TYPE x histogram\nx_bucket{le=\"0.0\"} 1\nx_bucket{le=\"+Inf\"} 2\n"},
		{"and one that is not known", bare(metric.Histogram, metric.Series{Buckets: above, Count: 2, NoSum: true, Created: time.Unix(5, 0)}),
			"# TYPE x histogram\nx_bucket{le=\"0.0\"} 1\nx_bucket{le=\"+Inf\"} 2\nx_created 5\n"},
		{"negative bounds have no sum", bare(metric.Histogram, metric.Series{Buckets: below, Count: 2, Sum: 1}),
			"# TYPE x histogram\nx_bucket{le=\"-1.0\"} 1\nx_bucket{le=\"+Inf\"} 2\n"},
		{"but a gauge histogram's do", bare(metric.GaugeHistogram, metric.Series{Buckets: below, Count: 2, Sum: -1}),
			"# TYPE x gaugehistogram\nx_bucket{le=\"-1.0\"} 1\nx_bucket{le=\"+Inf\"} 2\nx_gsum -1\nx_gcount 2\n"},
		{"whose sum is negative for no other reason", bare(metric.GaugeHistogram, metric.Series{Buckets: above, Count: 2, Sum: -1}),
			"# TYPE x gaugehistogram\nx_bucket{le=\"0.0\"} 1\nx_bucket{le=\"+Inf\"} 2\n"},
		{"nor NaN", bare(metric.GaugeHistogram, metric.Series{Buckets: below, Count: 2, Sum: math.NaN()}),
			"# TYPE x gaugehistogram\nx_bucket{le=\"-1.0\"} 1\nx_bucket{le=\"+Inf\"} 2\n"},
		{"a histogram without +Inf gets it", bare(metric.Histogram, metric.Series{Buckets: above[:1], Count: 2, Sum: 1}),
			"# TYPE x histogram\nx_bucket{le=\"0.0\"} 1\nx_bucket{le=\"+Inf\"} 2\nx_sum 1\nx_count 2\n"},
		{"a summary's sum goes alone", bare(metric.Summary, metric.Series{Count: 2, Sum: -1}),
			"# TYPE x summary\nx_count 2\n"},
		{"quantiles", bare(metric.Summary, metric.Series{NoSum: true, Quantiles: []metric.Quantile{{Q: 0, Value: -1}, {Q: 0.5, Value: math.NaN()}, {Q: 1, Value: 2}, {Q: 1.5, Value: 3}, {Q: math.NaN()}}}),
			"# TYPE x summary\nx{quantile=\"0.5\"} NaN\nx{quantile=\"1.0\"} 2\nx_count 0\n"},
		{"canonical bounds", bare(metric.Histogram, metric.Series{NoSum: true, Buckets: metric.Cumulate([]float64{1e-5, 0.001, 1, 10, 100000, 1e6, 1e21}, make([]uint64, 8))}),
			"# TYPE x histogram\nx_bucket{le=\"1e-05\"} 0\nx_bucket{le=\"0.001\"} 0\nx_bucket{le=\"1.0\"} 0\nx_bucket{le=\"10.0\"} 0\n" +
				"x_bucket{le=\"100000.0\"} 0\nx_bucket{le=\"1e+06\"} 0\nx_bucket{le=\"1e+21\"} 0\nx_bucket{le=\"+Inf\"} 0\n"},
		{"help", &metric.Family{Name: "x", Help: "a\\b\n\"c\"\r\xff\r\r", Type: metric.Unknown, Series: []metric.Series{{}}},
			"# HELP x a\\\\b\\n\\\"c\\\"\r\uFFFD\n# TYPE x unknown\nx 0\n"},
		{"a unit that is no part of the name", &metric.Family{Name: "x_s", Unit: "seconds", Type: metric.Gauge, Series: []metric.Series{{}}},
			"# TYPE x_s gauge\nx_s 0\n"},
		{"nor set off by an underscore", &metric.Family{Name: "xseconds", Unit: "seconds", Type: metric.Gauge, Series: []metric.Series{{}}},
			"# TYPE xseconds gauge\nxseconds 0\n"},
		{"a unit of an info", &metric.Family{Name: "x_s", Unit: "s", Type: metric.Info, Series: []metric.Series{{}}},
			"# TYPE x_s info\nx_s_info 1\n"},
		{"a unit of a counter", &metric.Family{Name: "x_s", Unit: "s", Type: metric.Counter, Series: []metric.Series{{}}},
			"# TYPE x_s counter\n# UNIT x_s s\nx_s_total 0\n"},
		{"a unit that a line cannot hold", &metric.Family{Name: "x_a\nb", Unit: "a\nb", Type: metric.Gauge, Series: []metric.Series{{}}},
			"# TYPE x_a_b gauge\nx_a_b 0\n"},
		{"a state set whose name no label can have", &metric.Family{Name: "a:b", Type: metric.StateSet, Series: []metric.Series{{States: []metric.State{{Name: "on"}}}}},
			"# TYPE a:b gauge\na:b{a_b=\"on\"} 0\n"},
		{"infinite counter", bare(metric.Counter, metric.Series{Value: math.Inf(1)}), "# TYPE x counter\nx_total +Inf\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want+"# EOF\n", encodeAll(t, open1, tt.family))
			old := open1
			old.ContentType.Format = OpenMetrics001
			assert.Equal(t, tt.want+"# EOF\n", encodeAll(t, old, tt.family))
		})
	}
}

func TestExemplars(t *testing.T) {
	counter := func(x *metric.Exemplar) *metric.Family {
		return &metric.Family{Name: "x", Type: metric.Counter, Series: []metric.Series{{Exemplar: x}}}
	}
	const head, tail = "# TYPE x counter\nx_total 0", "\n# EOF\n"
	for _, tt := range []struct {
		name   string
		labels metric.Labels
		opts   Options
		want   string
	}{
		{"none", nil, open1, " # {} 0.5"},
		{"one", metric.MakeLabels("a", "\"\\\n"), open1, ` # {a="\"\\\n"} 0.5`},
		{"escaped", metric.MakeLabels("a.b", "\xff"), open1, " # {a_b=\"\uFFFD\"} 0.5"},
		{"quoted", metric.MakeLabels("a.b", "c"), open1q, ` # {"a.b"="c"} 0.5`},
		{"sorted again", metric.MakeLabels("b.c", "1", "b_a", "2"), open1, ` # {b_a="2",b_c="1"} 0.5`},
		{"equal names", metric.MakeLabels("a.b", "1", "a_b", "2"), open1, ""},
		{"as long as may be", metric.MakeLabels("é", strings.Repeat("ü", 127)), open1q, ` # {"é"="` + strings.Repeat("ü", 127) + `"} 0.5`},
		{"longer", metric.MakeLabels("é", strings.Repeat("ü", 128)), open1q, ""},
		{"longer by its escape", metric.MakeLabels("é", strings.Repeat("ü", 127)), Options{ContentType: ContentType{OpenMetrics100, Values}}, ""},
		{"in text", metric.MakeLabels("a", "b"), quoted, "text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := encodeAll(t, tt.opts, counter(&metric.Exemplar{Labels: tt.labels, Value: 0.5}))
			if tt.want == "text" {
				assert.Equal(t, "# TYPE x_total counter\nx_total 0\n", got)
				return
			}
			assert.Equal(t, head+tt.want+tail, got)
		})
	}

	buckets := metric.Cumulate([]float64{1, 2}, []uint64{1, 1, 1})
	for i, v := range []float64{1.5, math.NaN(), 7} {
		buckets[i].Exemplar = &metric.Exemplar{Value: v, Timestamp: time.Unix(3, 0)}
	}
	got := encodeAll(t, open1, &metric.Family{Name: "x", Type: metric.GaugeHistogram, Series: []metric.Series{{Buckets: buckets, NoSum: true, Count: 3, Timestamp: time.Unix(4, 0)}}})
	assert.Equal(t, "# TYPE x gaugehistogram\nx_bucket{le=\"1.0\"} 1 4\nx_bucket{le=\"2.0\"} 2 4\nx_bucket{le=\"+Inf\"} 3 4 # {} 7 3\n# EOF\n", got,
		"an exemplar that is not in its bucket is left out")
}

// Counters that OpenMetrics does not allow are left out and counted.
func TestOpenMetricsOmissions(t *testing.T) {
	f := one("x", metric.Counter)
	for i, v := range []float64{-1, 2, math.NaN(), math.Inf(-1)} {
		f.Series = append(f.Series, metric.Series{Labels: metric.MakeLabels("n", string(rune('a'+i))), Value: v})
	}
	got, err := Append(nil, []*metric.Family{f}, open1)
	require.Equal(t, "# HELP x Help of x.\n# TYPE x counter\nx_total{n=\"b\"} 2\n# EOF\n", string(got))
	var omission *OmissionError
	require.ErrorAs(t, err, &omission)
	require.Equal(t, OmissionError{Values: 3}, *omission)

	// A parser gives a counter three names: with and without suffix, and x_created.
	for _, name := range []string{"x", "x_total", "x_created"} {
		other := one(name, metric.Gauge, metric.Series{})
		got, err = Append(nil, []*metric.Family{one("x", metric.Counter, metric.Series{}), other}, Options{ContentType: open1.ContentType})
		require.Equal(t, "# HELP x Help of x.\n# TYPE x counter\nx_total 0\n# EOF\n", string(got))
		require.ErrorAs(t, err, &omission)
		require.Equal(t, OmissionError{Names: []string{name}}, *omission)
	}
}

// Prometheus' expfmt is the oracle: it must find the same families as client_model.
func TestOpenMetricsByExpfmt(t *testing.T) {
	rounds := 6 // it is slow
	if testing.Short() {
		rounds = 3
	}
	for seed := range uint64(rounds) {
		families := slices.DeleteFunc(randfamily.New(seed).Families(false), func(f *metric.Family) bool {
			return f.Type == metric.Info || f.Type == metric.StateSet // which it does not know
		})
		for _, f := range families {
			f.Help = strings.TrimRight(f.Help, "\r")
			for i := range f.Series {
				permit(f.Type, &f.Series[i])
			}
		}
		text, err := Append(nil, families, open1)
		require.NoError(t, err)
		for _, f := range families {
			for i := range f.Series {
				f.Series[i].Native = nil // OpenMetrics 1 has none
			}
		}
		want, got := dtos(families), decoded(t, text, open1.ContentType)
		require.Len(t, got, len(want))
		for i := range want {
			for _, m := range want[i].Metric {
				if m.Histogram != nil && m.Histogram.SampleSum == nil {
					m.Histogram.SampleCount = nil
				}
			}
			require.True(t, proto.Equal(want[i], got[i]), "want %v\ngot  %v", want[i], got[i])
		}
	}
}

// permit changes the values of s to ones that OpenMetrics allows.
func permit(t metric.Type, s *metric.Series) {
	grows := func(v *float64) {
		if *v = math.Abs(*v); math.IsNaN(*v) {
			*v = 0
		}
	}
	switch t {
	case metric.Counter:
		grows(&s.Value)
	case metric.Histogram, metric.GaugeHistogram, metric.Summary:
		grows(&s.Sum)
		s.NoSum = s.NoSum || t == metric.Histogram && openmetrics.HasNegativeBound(s)
		for i := range s.Quantiles {
			grows(&s.Quantiles[i].Value)
		}
	}
}
