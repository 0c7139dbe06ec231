package prom_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// TestTTL: idle series of a Vec expire, the MetricVec forgets them, and a metric that a program
// has kept brings its series back.
func TestTTL(t *testing.T) {
	now := time.Unix(1e9, 0)
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir(), Now: func() time.Time { return now }, KeepRemoved: metric.KeepNone})
	f := prom.New(set, prom.Options{TTL: func(name string) time.Duration {
		switch name {
		case "c_total", "g", "h", "s", "single":
			return 80 * time.Second
		}
		return 0
	}})
	t.Cleanup(func() {
		f.Close()
		require.NoError(t, set.Close())
	})
	labels := []string{"l"}
	c := f.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, labels)
	g := f.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, labels)
	h := f.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, labels)
	s := f.NewSummaryVec(prometheus.SummaryOpts{Name: "s", Help: "h"}, labels)
	never := f.NewCounterVec(prometheus.CounterOpts{Name: "never_total", Help: "h"}, labels)
	with := f.WithTTL(time.Hour).NewCounterVec(prometheus.CounterOpts{Name: "with_total", Help: "h"}, labels)
	single := f.NewGauge(prometheus.GaugeOpts{Name: "single", Help: "h"})
	single.Set(1)
	never.WithLabelValues("x").Inc()
	with.WithLabelValues("x").Inc()

	live := func() (names []string) {
		store := access.Store(set)
		r := store.Reader(nil)
		require.NoError(t, r.Refresh())
		for _, s := range r.Series() {
			names = append(names, s.Schema.Name)
		}
		return names
	}
	stay := []string{"single", "never", "with"}
	idle := func() {
		for range 8 {
			now = now.Add(20 * time.Second)
			access.Look(set)
		}
		require.ElementsMatch(t, stay, live())
		f.Reconcile()
		f.Reconcile() // one for what was made in the last round
	}
	held := c.WithLabelValues("held")
	held.Add(3)
	for _, v := range []string{"x", "y"} {
		c.WithLabelValues(v).Inc()
		g.WithLabelValues(v).Set(7)
		h.WithLabelValues(v).Observe(1)
		s.WithLabelValues(v).Observe(1)
	}
	access.Look(set)
	require.Len(t, live(), 3+9)
	idle()
	require.Eventually(t, func() bool {
		runtime.GC()
		return access.Store(set).Released() == 8
	}, 30*time.Second, time.Millisecond, "only one is still held")

	held.Inc()
	access.Look(set)
	require.ElementsMatch(t, append(stay, "c"), live())
	require.Equal(t, 1.0, testutil.ToFloat64(held))
	c.WithLabelValues("held").Inc()
	require.Equal(t, 2.0, testutil.ToFloat64(held), "both are of one series")
	g.WithLabelValues("x").Set(1)
	require.ElementsMatch(t, append(stay, "c", "g"), live())
	idle()
}
