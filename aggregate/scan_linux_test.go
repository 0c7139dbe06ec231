package aggregate

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// scannable returns how many bytes of the heap the garbage collector looks at.
func scannable() float64 {
	runtime.GC()
	runtime.GC() // what the first has finalized
	samples := []metrics.Sample{{Name: "/gc/scan/heap:bytes"}}
	metrics.Read(samples)
	return float64(samples[0].Value.Uint64())
}

// TestNothingToScan: what an aggregator keeps of a series, of whatever kind and in
// whatever file, has no pointer that the garbage collector must follow.
func TestNothingToScan(t *testing.T) {
	const processes, series = 2, 20_000
	native := func(schemas ...*metric.Schema) func(t *testing.T, dir string, i int) {
		return func(t *testing.T, dir string, i int) {
			s, err := mpm.Create(t.TempDir(), mpm.Options{Label: strconv.Itoa(i)})
			require.NoError(t, err)
			f, err := s.AddSchema(schemas[i%len(schemas)])
			require.NoError(t, err)
			for j := range series {
				var labels metric.Labels
				values := []string{strconv.Itoa(j)}
				if len(schemas[0].Labels) == 0 {
					values, labels = nil, metric.MakeLabels("l", values[0])
				}
				one, err := s.AddSeries(f, values, labels)
				require.NoError(t, err)
				for k := range one.Words() {
					one.Words()[k] = math.Float64bits(0.1 * float64(i+1) * float64(j))
				}
			}
			die(t, s, dir)
			require.NoError(t, s.Close())
		}
	}
	with := func(s *metric.Schema, labels ...string) *metric.Schema {
		s.Labels = labels
		return s
	}
	python := func(kind, suffix, more string) func(t *testing.T, dir string, i int) {
		return func(t *testing.T, dir string, i int) {
			samples := make([]pyfiletest.Sample, series)
			for j := range samples {
				samples[j] = pySample("m", "m"+suffix, fmt.Sprintf(`"l": "%d"%s`, j, more), 0.1*float64(j), float64(j))
			}
			writePython(t, dir, fmt.Sprintf("%s_%d.db", kind, 1+i), samples...)
		}
	}
	for name, write := range map[string]func(t *testing.T, dir string, i int){
		"counter":                 native(counter("m", "l")),
		"counter of other labels": native(counter("m", "l"), counter("m", "other")),
		"further labels":          native(counter("m")),
		"gauge sum":               native(gauge("m", metric.ModeSum, "l")),
		"gauge max":               native(gauge("m", metric.ModeMax, "l")),
		"gauge mostrecent":        native(gauge("m", metric.ModeMostRecent, "l")),
		"gauge all":               native(gauge("m", metric.ModeAll, "l")),
		"histogram":               native(with(histogramSchema("m", 1, 2), "l")),
		"histograms that differ":  native(with(histogramSchema("m", 1, 2), "l"), with(histogramSchema("m", 1, 3), "l")),
		"summary":                 native(&metric.Schema{Name: "m", Type: metric.Summary, Labels: []string{"l"}}),
		"state set":               native(&metric.Schema{Name: "m", Type: metric.StateSet, States: []string{"a", "b"}, Labels: []string{"l"}}),
		"info":                    native(&metric.Schema{Name: "m", Type: metric.Info}),
		"python counter":          python("counter", "_total", ""),
		"python gauge max":        python("gauge_max", "", ""),
		"python gauge all":        python("gauge_all", "", ""),
		"python histogram":        python("histogram", "_bucket", `, "le": "1"`),
	} {
		for _, compacted := range []bool{false, true} {
			if compacted && strings.HasPrefix(name, "python ") {
				continue // in the archive it is as any other
			}
			t.Run(fmt.Sprintf("%s/compacted=%t", name, compacted), func(t *testing.T) {
				dir := t.TempDir()
				for i := range processes {
					write(t, dir, i)
				}
				if compacted {
					compactDir(t, dir)
				}
				before := scannable()
				a := newAggregator(dir, Options{NoSelfMetrics: true})
				defer a.Close()
				views.Show(context.Background(), a, func(families []views.Family, err error) {
					require.NoError(t, err)
					require.Len(t, families, 1)
					require.GreaterOrEqual(t, families[0].Rows.Len(), series)
				})
				// What other tests have left goes at some collection. What the aggregator keeps stays.
				var perSeries float64
				require.Eventually(t, func() bool {
					perSeries = (scannable() - before) / series
					return perSeries < 1
				}, 10*time.Second, time.Millisecond)
				t.Logf("%.2f bytes a series", perSeries)
				runtime.KeepAlive(a)
			})
		}
	}
}
