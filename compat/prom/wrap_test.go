package prom_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	theirauto "github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
)

// TestWrappedRegisterers makes the same metrics by way of wrapped registerers, of
// client_golang and ours: the registries and the merged view have the same
// names and labels.
func TestWrappedRegisterers(t *testing.T) {
	f, set := newFactory(t, prom.Options{})
	theirs, ours := prometheus.NewPedanticRegistry(), prometheus.NewPedanticRegistry()
	a := theirauto.With(prometheus.WrapRegistererWithPrefix("in_", prometheus.WrapRegistererWith(prometheus.Labels{"z": "1"},
		prometheus.WrapRegistererWithPrefix("out_", theirs))))
	b := promauto.From(f, prom.WrapRegistererWithPrefix("in_", prom.WrapRegistererWith(prom.Labels{"z": "1"},
		prom.WrapRegistererWithPrefix("out_", ours))))
	copts := prometheus.CounterOpts{Namespace: "n", Name: "c_total", Help: "h", ConstLabels: prometheus.Labels{"a": "2"}}
	gopts, hopts := prometheus.GaugeOpts{Name: "g", Help: "h"}, prometheus.HistogramOpts{Subsystem: "s", Name: "h", Help: "h"}
	sopts := prometheus.SummaryOpts{Name: "s", Help: "h"}
	a.NewCounterVec(copts, []string{"l"}).WithLabelValues("x").Add(2)
	b.NewCounterVec(copts, []string{"l"}).WithLabelValues("x").Add(2)
	a.NewGauge(gopts).Set(3)
	b.NewGauge(gopts).Set(3)
	a.NewHistogram(hopts).Observe(4)
	b.NewHistogram(hopts).Observe(4)
	a.NewSummary(sopts).Observe(5)
	b.NewSummary(sopts).Observe(5)
	want, err := theirs.Gather()
	require.NoError(t, err)
	require.Equal(t, "out_in_g", want[0].GetName())
	got, err := ours.Gather()
	require.NoError(t, err)
	equal(t, want, got, "registered")
	equal(t, want, merged(instruments(t, set)), "merged")
}

// TestRegisteringWithAWrapper: what would have two names is an error; what
// client_golang made is wrapped as there.
func TestRegisteringWithAWrapper(t *testing.T) {
	f, _ := newFactory(t, prom.Options{})
	r := prometheus.NewPedanticRegistry()
	w := prom.WrapRegistererWith(prom.Labels{"z": "1"}, r)
	v := f.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"a", "b"})
	for _, c := range []prometheus.Collector{
		v, v.MustCurryWith(prometheus.Labels{"a": "1"}),
		f.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}),
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "f", Help: "h"}, func() float64 { return 1 }),
	} {
		require.ErrorIs(t, w.Register(c), prom.ErrWrapped)
		require.Panics(t, func() { w.MustRegister(c) })
	}
	require.NoError(t, r.Register(v), "without the wrapper")
	other := prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "h"})
	w.MustRegister(other)
	families, err := r.Gather()
	require.NoError(t, err)
	require.Equal(t, "z", families[len(families)-1].Metric[0].Label[0].GetName())
	require.True(t, w.Unregister(other))
	made := promauto.From(f, w).NewCounter(prometheus.CounterOpts{Name: "made_total", Help: "h"})
	require.True(t, w.Unregister(made))
	require.Panics(t, func() {
		promauto.From(f, w).NewCounter(prometheus.CounterOpts{Name: "x_total", ConstLabels: prometheus.Labels{"z": "2"}})
	}, "the label is given twice")
	require.NotPanics(t, func() {
		promauto.From(f, prom.WrapRegistererWithPrefix("p_", nil)).NewCounter(prometheus.CounterOpts{Name: "nowhere_total"}).Inc()
	})
	require.NoError(t, prom.WrapRegistererWithPrefix("p_", nil).Register(v), "as in client_golang")
}
