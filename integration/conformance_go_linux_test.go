package integration

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// goTypes writes every type of metric.
func goTypes(t *testing.T, dir string) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir, ProcessID: "worker \u00fc"})
	defer set.Close()
	counter, err := set.NewCounterVec(multiproc.CounterOpts{Name: "requests", Help: "Requests\nserved.", ConstLabels: multiproc.Labels{"zone": "a"}}, []string{"method", "path"})
	require.NoError(t, err)
	counter.WithLabelValues("GET", "/").Add(42)
	counter.WithLabelValues("POST", "a \"b\"\\\n\u2603").Add(0.5)
	counter.WithLabelValues("POST", "a \"b\"\\\n\u2603").AddWithExemplar(1<<40, multiproc.Labels{"trace": strings.Repeat("t", 100)})
	for mode := metric.ModeAll; mode.Valid(); mode++ {
		gauge, err := set.NewGauge(multiproc.GaugeOpts{Name: "gauge_" + mode.String(), Help: "Help.", Mode: mode})
		require.NoError(t, err)
		gauge.Set(2.5)
		_, err = set.NewGauge(multiproc.GaugeOpts{Name: "unset_" + mode.String(), Help: "Help.", Mode: mode})
		require.NoError(t, err)
	}
	histogram, err := set.NewHistogramVec(multiproc.HistogramOpts{Name: "latency_seconds", Help: "Help.", Unit: "seconds", Buckets: []float64{0.5, 1, 2.5}}, []string{"path"})
	require.NoError(t, err)
	histogram.WithLabelValues("/").Observe(0.7)
	histogram.WithLabelValues("/").ObserveWithExemplar(99, multiproc.Labels{"id": "x"})
	histogram.WithLabelValues("unused")
	summary, err := set.NewSummary(multiproc.SummaryOpts{Name: "size", Help: "Help."})
	require.NoError(t, err)
	summary.Observe(3)
	info, err := set.NewInfo(multiproc.InfoOpts{Name: "build", Help: "Help."})
	require.NoError(t, err)
	require.NoError(t, info.Set(multiproc.Labels{"version": "1", "rev": "abc"}))
	for _, recent := range []bool{false, true} {
		enum, err := set.NewEnum(multiproc.EnumOpts{Name: "state_" + strconv.FormatBool(recent), Help: "Help.", MostRecent: recent, States: []string{"starting", "running"}})
		require.NoError(t, err)
		require.NoError(t, enum.Set("running"))
	}
	idle, err := set.NewGaugeVec(multiproc.GaugeOpts{Name: "idle", Help: "Help.", TTL: time.Hour}, []string{"user"})
	require.NoError(t, err)
	idle.WithLabelValues("a").Set(1)
	require.True(t, counter.DeleteLabelValues("GET", "/"))
}

// goChurn writes series that come and go, and whose space is used again.
func goChurn(t *testing.T, dir string) {
	s, err := mpm.Create(dir, mpm.Options{KeepRemoved: time.Nanosecond})
	require.NoError(t, err)
	defer s.Close()
	schema, err := s.AddSchema(&metric.Schema{Name: "churn", Type: metric.Histogram, Labels: []string{"n"}, Bounds: []float64{1, 2}})
	require.NoError(t, err)
	var living []*mpm.Series
	for n := range 600 {
		series, err := s.AddSeries(schema, []string{strings.Repeat("x", n%37) + strconv.Itoa(n)}, nil)
		require.NoError(t, err)
		series.Words()[mpm.CellHistogramBuckets] = uint64(n)
		series.SetExemplar(0, metric.Labels{{Name: "trace", Value: strings.Repeat("y", n%90)}}, float64(n), time.Now().UnixNano())
		if n%100 == 0 {
			runtime.GC() // so that the store learns which handles are gone
		}
		if living = append(living, series); len(living) > 20 {
			living[0].Remove()
			living = living[1:]
		}
	}
	for i := range living {
		living[i].Words()[mpm.CellHistogramBuckets+1] = 7
	}
}
