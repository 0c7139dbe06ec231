package exposition

import (
	"bytes"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition/textparse"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

// A series is its name and labels: a program that changes from Prometheus' own
// writer to ours must keep them, le and quantile included. Values may be written
// in another way, but are read back as the same bits.

// linesOf returns the samples of text: the value of each, by everything before it.
func linesOf(t *testing.T, text string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		require.NoError(t, err, line)
		require.NotContains(t, out, line[:at])
		out[line[:at]] = v
	}
	return out
}

func requireSameLines(t *testing.T, families []*metric.Family, opts Options, write func(*bytes.Buffer, *dto.MetricFamily) error) {
	t.Helper()
	ours, err := Append(nil, families, opts)
	require.NoError(t, err)
	var theirs bytes.Buffer
	for _, f := range dtos(families) {
		require.NoError(t, write(&theirs, f))
	}
	got, want := linesOf(t, string(ours)), linesOf(t, theirs.String())
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
	for line, v := range want {
		require.True(t, v == got[line] || math.IsNaN(v) && math.IsNaN(got[line]), "%s: %v, not %v", line, got[line], v)
	}
}

func TestBoundsAndValuesByExpfmt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	rounds := 4000
	if testing.Short() {
		rounds = 500
	}
	for i := range rounds {
		v := randfamily.Bounds[i%len(randfamily.Bounds)]
		switch i / len(randfamily.Bounds) % 4 {
		case 1:
			v = math.Float64frombits(rnd.Uint64())
		case 2:
			v = float64(rnd.Int64N(1 << (1 + rnd.IntN(62)))) // whole ones of all sizes
		case 3:
			v = math.Round(rnd.Float64()*1e4) * math.Pow10(rnd.IntN(30)-15) // as people choose them
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		histogram := one("h", metric.Histogram, metric.Series{Buckets: metric.Cumulate([]float64{v}, []uint64{1, 2}), Count: 3, Sum: v})
		summary := one("s", metric.Summary, metric.Series{Quantiles: []metric.Quantile{{Q: math.Abs(v), Value: v}}, Count: 3, Sum: v})
		gauges := one("g", metric.Gauge, metric.Series{Value: v})
		families := []*metric.Family{gauges, histogram, summary}
		requireSameLines(t, families, legacy, func(w *bytes.Buffer, f *dto.MetricFamily) error {
			_, err := expfmt.MetricFamilyToText(w, f)
			return err
		})
		lenient := Options{ContentType: open1.ContentType, Lenient: true}
		requireSameLines(t, families, lenient, func(w *bytes.Buffer, f *dto.MetricFamily) error {
			_, err := expfmt.MetricFamilyToOpenMetrics(w, f)
			return err
		})

		// Our own parser reads exactly the same bits.
		for _, opts := range []Options{legacy, {ContentType: open1.ContentType}} {
			text, err := Append(nil, families, opts)
			require.NoError(t, err)
			format := textparse.Text
			if opts.ContentType.Format == OpenMetrics100 {
				format = textparse.OpenMetrics
				if math.Abs(v) > 1 {
					format = textparse.Text // quantiles above 1 are left out; the rest is text too, but for # EOF
					text, err = Append(nil, families[:2], opts)
					require.NoError(t, err)
				}
			}
			parsed, err := textparse.Parse(bytes.NewReader(text), textparse.Options{Format: format})
			require.NoError(t, err, "%s", text)
			require.Equal(t, math.Float64bits(v), math.Float64bits(parsed[0].Series[0].Value), "%s", text)
			require.Equal(t, v, parsed[1].Series[0].Buckets[0].UpperBound, "%s", text)
			if len(parsed) > 2 && len(parsed[2].Series[0].Quantiles) > 0 {
				require.Equal(t, math.Abs(v), parsed[2].Series[0].Quantiles[0].Q, "%s", text)
			}
		}
	}
}

// Lenient writes what OpenMetrics forbids, as client_golang does.
func TestLenientOpenMetrics(t *testing.T) {
	below := metric.Cumulate([]float64{-1}, []uint64{1, 1})
	families := []*metric.Family{
		one("a", metric.Counter, metric.Series{Labels: metric.MakeLabels("n", "1"), Value: -1}, metric.Series{Labels: metric.MakeLabels("n", "2"), Value: math.NaN()}),
		one("b", metric.Histogram, metric.Series{Labels: metric.MakeLabels("n", "1"), Buckets: below, Count: 2, Sum: -3},
			metric.Series{Labels: metric.MakeLabels("n", "2"), Buckets: below, Count: 2, Sum: math.NaN()},
			metric.Series{Labels: metric.MakeLabels("n", "3"), Buckets: below, Count: 2, NoSum: true}),
		one("c", metric.Summary, metric.Series{Quantiles: []metric.Quantile{{Q: 2, Value: -1}}, Count: 2, Sum: -3}),
		one("d", metric.GaugeHistogram, metric.Series{Buckets: below, Count: 2, Sum: math.NaN()}),
	}
	got := encodeAll(t, Options{ContentType: open1.ContentType, Lenient: true}, families...)
	for _, line := range []string{
		`a_total{n="1"} -1`, `a_total{n="2"} NaN`, `b_sum{n="1"} -3`, `b_count{n="1"} 2`, `b_sum{n="2"} NaN`, `b_count{n="2"} 2`, `b_count{n="3"} 2`,
		`c{quantile="2.0"} -1`, `c_sum -3`, `d_gsum NaN`, `d_gcount 2`,
	} {
		require.Contains(t, got, "\n"+line+"\n")
	}
	require.NotContains(t, got, `b_sum{n="3"}`, "what is not known is not invented")
	_, err := textparse.Parse(strings.NewReader(got), textparse.Options{Format: textparse.OpenMetrics})
	require.Error(t, err)
}
