package integration

import (
	"math"
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

// goNative writes histograms with native buckets: beside classic ones and alone, with negative values, infinities and
// NaN, in schemas that have fallen, and of removed series whose regions are used again.
func goNative(t *testing.T, dir string) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir, ProcessID: "native", KeepRemoved: time.Nanosecond})
	defer set.Close()
	both, err := set.NewHistogram(multiproc.HistogramOpts{Name: "both_seconds", Help: "Help.", Unit: "seconds", Buckets: []float64{0.5, 1}, NativeHistogramBucketFactor: 1.1})
	require.NoError(t, err)
	for _, v := range []float64{0, 1e-40, 0.3, 0.7, 1, 7, -2, math.Inf(1), math.Inf(-1)} {
		both.Observe(v)
	}
	both.ObserveWithExemplar(0.9, multiproc.Labels{"trace": "a"})
	alone, err := set.NewHistogramVec(multiproc.HistogramOpts{
		Name: "alone_size", Help: "Help.", NativeHistogramBucketFactor: 1.01,
		NativeHistogramMaxBucketNumber: 20, NativeHistogramZeroThreshold: 0.001, NativeHistogramMaxExemplars: 2,
	}, []string{"n"})
	require.NoError(t, err)
	for v := 0.002; v < 1e6; v *= 1.3 {
		alone.WithLabelValues("wide").Observe(v)
	}
	alone.WithLabelValues("nan").Observe(math.NaN())
	alone.WithLabelValues("unused")
	for n := range 60 {
		name := strings.Repeat("x", n%7) + strconv.Itoa(n)
		alone.WithLabelValues(name).ObserveWithExemplar(float64(n), multiproc.Labels{"n": name})
		if n%20 == 19 {
			runtime.GC() // so that the store learns which handles are gone
		}
		if n < 55 {
			require.True(t, alone.DeleteLabelValues(name))
		}
	}
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
