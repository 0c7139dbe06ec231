package prom_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	theirauto "github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
	"github.com/multiprom/multiprom/multiproc"
)

// TestWrappedRegisterers makes the same metrics by way of wrapped registerers, of
// client_golang and ours: the registries and the merged view have the same
// names and labels.
func TestWrappedRegisterers(t *testing.T) {
	f, set := newFactory(t, prom.Options{})
	theirs, ours := prometheus.NewPedanticRegistry(), prom.NewPedanticRegistry()
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

// both is a collector of two metrics.
type both struct{ a, b prometheus.Collector }

func (s both) Describe(ch chan<- *prometheus.Desc) { s.a.Describe(ch); s.b.Describe(ch) }
func (s both) Collect(ch chan<- prometheus.Metric) { s.a.Collect(ch); s.b.Collect(ch) }

// unchecked is a collector that describes nothing.
type unchecked struct{ prometheus.Collector }

func (unchecked) Describe(chan<- *prometheus.Desc) {}

// TestRegisteringWithAWrapper registers what was made without the wrapper's labels and
// prefix: one metric, a Vec, a curried one, a function, a collector of several, one
// that describes nothing, and one of client_golang. The registry shows what
// client_golang's does, as all processes have it.
func TestRegisteringWithAWrapper(t *testing.T) {
	dir := t.TempDir()
	gather := func(m maker, r prometheus.Registerer, wrap func(prometheus.Labels, prometheus.Registerer) prometheus.Registerer, n int) prometheus.Registerer {
		w := wrap(prometheus.Labels{"z": "1"}, r)
		v := m.counterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"a", "b"})
		for range n {
			v.WithLabelValues("1", "2").Inc()
		}
		single := m.gauge(prometheus.GaugeOpts{Name: "g", Help: "h"})
		single.Set(float64(n))
		a, b := m.counter(prometheus.CounterOpts{Name: "a_total", Help: "h"}), m.counter(prometheus.CounterOpts{Name: "b_total", Help: "h"})
		a.Add(float64(n))
		b.Add(float64(10 * n))
		hidden := m.counter(prometheus.CounterOpts{Name: "hidden_total", Help: "h"})
		hidden.Add(float64(n))
		other := prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "h"})
		w.MustRegister(v, single, both{a, b}, unchecked{hidden}, other)
		require.Error(t, w.Register(single))
		require.Error(t, w.Register(v.MustCurryWith(prometheus.Labels{"a": "1"})))
		require.True(t, w.Unregister(other))
		w.MustRegister(other)
		return w
	}
	theirs := prometheus.NewRegistry()
	gather(genuine, theirs, prometheus.WrapRegistererWith, 5)
	want, err := theirs.Gather()
	require.NoError(t, err)
	require.Len(t, want, 6)

	var registries []*prom.Registry
	for i := range 2 { // two processes, as it were
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir, ProcessID: string(rune('a' + i))})
		f := prom.New(set, prom.Options{})
		ours := prom.NewRegistry()
		gather(over(f), ours, prom.WrapRegistererWith, 2+i)
		registries = append(registries, ours)
		t.Cleanup(func() { f.Close(); set.Close() })
	}
	for _, ours := range registries {
		got, err := ours.Gather()
		require.NoError(t, err)
		equal(t, want, got, "wrapped")
	}
	require.NoError(t, prom.WrapRegistererWithPrefix("p_", nil).Register(prometheus.NewGauge(prometheus.GaugeOpts{Name: "x"})), "as in client_golang")
	require.NoError(t, prom.WrapRegistererWith(nil, prom.NewRegistry()).Register(prometheus.NewGauge(prometheus.GaugeOpts{Name: "x"})), "nothing is added")
}

// TestLabelGivenTwice is refused when the metric is made.
func TestLabelGivenTwice(t *testing.T) {
	f, _ := newFactory(t, prom.Options{})
	w := prom.WrapRegistererWith(prom.Labels{"z": "1"}, prom.NewRegistry())
	made := promauto.From(f, w).NewCounter(prometheus.CounterOpts{Name: "made_total", Help: "h"})
	require.True(t, prom.WrapRegistererWith(nil, registryOf(f, w)).Unregister(made))
	require.Panics(t, func() {
		promauto.From(f, w).NewCounter(prometheus.CounterOpts{Name: "x_total", ConstLabels: prometheus.Labels{"z": "2"}})
	})
	require.NotPanics(t, func() {
		promauto.From(f, prom.WrapRegistererWithPrefix("p_", nil)).NewCounter(prometheus.CounterOpts{Name: "nowhere_total"}).Inc()
	})
}

func registryOf(f *prom.Factory, r prom.Registerer) prom.Registerer {
	_, inner := f.Within(r)
	return inner
}
