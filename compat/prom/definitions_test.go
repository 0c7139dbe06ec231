package prom_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
	"github.com/multiprom/multiprom/compat/prom/promhttp"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

func newFactory(t *testing.T, opts prom.Options) (*prom.Factory, *multiproc.Set) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	f := prom.New(set, opts)
	t.Cleanup(func() {
		f.Close()
		require.NoError(t, set.Close())
	})
	return f, set
}

// outcome makes a metric, registers it twice and uses it, and says what became
// of it.
func outcome(define func() prometheus.Collector, use func(prometheus.Collector)) (said []string) {
	step := func(f func() error) {
		defer func() {
			if v := recover(); v != nil {
				said = append(said, fmt.Sprint("panic: ", v))
			}
		}()
		said = append(said, fmt.Sprint(f()))
	}
	var c prometheus.Collector
	step(func() error { c = define(); return nil })
	if c == nil {
		return said
	}
	r := prometheus.NewPedanticRegistry()
	step(func() error { return r.Register(c) })
	step(func() error { return r.Register(c) })
	step(func() error { use(c); return nil })
	return said
}

// TestRefusals compares what client_golang says of a wrong definition or use,
// and when: at the definition, at Register, or at the first lookup.
func TestRefusals(t *testing.T) {
	nothing := func(prometheus.Collector) {}
	lookup := func(values ...string) func(prometheus.Collector) {
		return func(c prometheus.Collector) {
			switch v := c.(type) {
			case *prometheus.CounterVec:
				v.WithLabelValues(values...)
			case *prometheus.GaugeVec:
				v.WithLabelValues(values...)
			case *prometheus.HistogramVec:
				v.WithLabelValues(values...)
			case *prometheus.SummaryVec:
				v.WithLabelValues(values...)
			}
		}
	}
	for what, tc := range map[string]struct {
		define func(m maker) prometheus.Collector
		use    func(prometheus.Collector)
	}{
		"no name":     {func(m maker) prometheus.Collector { return m.counter(prometheus.CounterOpts{Help: "h"}) }, nothing},
		"no help":     {func(m maker) prometheus.Collector { return m.gauge(prometheus.GaugeOpts{Name: "no_help"}) }, nothing},
		"bad name":    {func(m maker) prometheus.Collector { return m.gauge(prometheus.GaugeOpts{Name: "\xff"}) }, nothing},
		"bad help":    {func(m maker) prometheus.Collector { return m.gaugeVec(prometheus.GaugeOpts{Name: ""}, nil) }, nothing},
		"dotted name": {func(m maker) prometheus.Collector { return m.gauge(prometheus.GaugeOpts{Name: "a.b"}) }, nothing},
		"bad label": {func(m maker) prometheus.Collector {
			return m.counterVec(prometheus.CounterOpts{Name: "bad_label"}, []string{"__x"})
		}, nothing},
		"label twice": {func(m maker) prometheus.Collector {
			return m.summaryVec(prometheus.SummaryOpts{Name: "twice", ConstLabels: prometheus.Labels{"a": "1"}}, []string{"a"})
		}, nothing},
		"le": {func(m maker) prometheus.Collector {
			return m.histogramVec(prometheus.HistogramOpts{Name: "le"}, []string{"le"})
		}, lookup("1")},
		"const le": {func(m maker) prometheus.Collector {
			return m.histogram(prometheus.HistogramOpts{Name: "le", ConstLabels: prometheus.Labels{"le": "1"}})
		}, nothing},
		"quantile": {func(m maker) prometheus.Collector {
			return m.summaryVec(prometheus.SummaryOpts{Name: "q"}, []string{"quantile"})
		}, lookup("1")},
		"max age": {func(m maker) prometheus.Collector {
			return m.summaryVec(prometheus.SummaryOpts{Name: "age", MaxAge: -1}, nil)
		}, lookup()},
		"buckets": {func(m maker) prometheus.Collector {
			return m.histogram(prometheus.HistogramOpts{Name: "b", Buckets: []float64{2, 1}})
		}, nothing},
		"buckets of a vec": {func(m maker) prometheus.Collector {
			return m.histogramVec(prometheus.HistogramOpts{Name: "b", Buckets: []float64{2, 1}}, []string{"l"})
		}, lookup("1")},
		"too few values": {func(m maker) prometheus.Collector {
			return m.gaugeVec(prometheus.GaugeOpts{Name: "few"}, []string{"a", "b"})
		}, lookup("1")},
		"not UTF-8": {func(m maker) prometheus.Collector {
			return m.counterVec(prometheus.CounterOpts{Name: "utf"}, []string{"a"})
		}, lookup("\xff")},
		"negative": {func(m maker) prometheus.Collector { return m.counter(prometheus.CounterOpts{Name: "n"}) },
			func(c prometheus.Collector) { c.(prometheus.Counter).Add(-1) }},
		"exemplar": {func(m maker) prometheus.Collector { return m.counter(prometheus.CounterOpts{Name: "x"}) },
			func(c prometheus.Collector) {
				c.(prometheus.ExemplarAdder).AddWithExemplar(1, prometheus.Labels{"a": strings.Repeat("x", 200)})
			}},
	} {
		f, _ := newFactory(t, prom.Options{})
		want := outcome(func() prometheus.Collector { return tc.define(genuine) }, tc.use)
		got := outcome(func() prometheus.Collector { return tc.define(over(f)) }, tc.use)
		require.Equal(t, want, got, what)
	}
}

// TestConflicts are what one store cannot hold and client_golang can, in several
// registries: a panic that names both.
func TestConflicts(t *testing.T) {
	f, _ := newFactory(t, prom.Options{})
	f.NewCounter(prometheus.CounterOpts{Name: "x_total", Help: "h"})
	for what, define := range map[string]func(){
		"another help":   func() { f.NewCounter(prometheus.CounterOpts{Name: "x_total", Help: "i"}) },
		"another type":   func() { f.NewGauge(prometheus.GaugeOpts{Name: "x_total", Help: "h"}) },
		"other labels":   func() { f.NewCounterVec(prometheus.CounterOpts{Name: "x_total", Help: "h"}, []string{"a"}) },
		"without _total": func() { f.NewCounter(prometheus.CounterOpts{Name: "x", Help: "h"}) },
	} {
		require.Panics(t, define, what)
		func() {
			defer func() {
				err, ok := recover().(error)
				require.True(t, ok)
				require.ErrorIs(t, err, multiproc.ErrConflict, what)
			}()
			define()
		}()
	}
}

// TestBeyondTheBounds are definitions that client_golang takes and a file has no
// place for: a panic, not a metric of one process.
func TestBeyondTheBounds(t *testing.T) {
	f, _ := newFactory(t, prom.Options{})
	var labels []string
	for i := range metric.MaxLabels + 1 {
		labels = append(labels, fmt.Sprint("l", i))
	}
	long := strings.Repeat("x", metric.MaxHelpLen+1)
	for what, define := range map[string]func(m maker){
		"only +Inf": func(m maker) { m.histogram(prometheus.HistogramOpts{Name: "i", Buckets: []float64{math.Inf(1)}}) },
		"too many buckets": func(m maker) {
			m.histogram(prometheus.HistogramOpts{Name: "b", Buckets: prometheus.LinearBuckets(0, 1, metric.MaxBounds+1)})
		},
		"too many labels": func(m maker) { m.gaugeVec(prometheus.GaugeOpts{Name: "l"}, labels) },
		"long help":       func(m maker) { m.summary(prometheus.SummaryOpts{Name: "h", Help: long}) },
		"long name": func(m maker) {
			m.counterVec(prometheus.CounterOpts{Name: strings.Repeat("n", metric.MaxNameLen+1)}, nil)
		},
	} {
		require.NotPanics(t, func() { define(genuine) }, what)
		require.Panics(t, func() { define(over(f)) }, what)
	}
}

// TestUnregister takes a metric out of a registry and not out of the merged
// view, where it is from its declaration on.
func TestUnregister(t *testing.T) {
	f, set := newFactory(t, prom.Options{})
	require.NoError(t, set.Open())
	r := prometheus.NewRegistry()
	c := promauto.From(f, r).NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
	require.True(t, r.Unregister(c))
	require.Zero(t, count(t, r, "c_total"))
	require.Equal(t, 1, count(t, directory(t, set), "c_total"))
}

// TestEqualDefinitions are one metric, as their values are.
func TestEqualDefinitions(t *testing.T) {
	f, _ := newFactory(t, prom.Options{})
	opts := prometheus.CounterOpts{Name: "x_total", Help: "h"}
	f.NewCounter(opts).Inc()
	require.Equal(t, 1.0, testutil.ToFloat64(f.NewCounter(opts)))
	for i, zone := range []string{"1", "2"} {
		opts := prometheus.CounterOpts{Name: "zoned_total", Help: "h", ConstLabels: prometheus.Labels{"zone": zone}}
		f.NewCounter(opts).Add(float64(i + 1))
		require.Equal(t, float64(i+1), testutil.ToFloat64(f.NewCounter(opts)), "another metric of the family")
	}

	a := f.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, []string{"l"})
	require.Same(t, a, f.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, []string{"l"}))

	// The idiom of libraries that are made more than once.
	r := prometheus.NewRegistry()
	require.NoError(t, r.Register(a))
	are := prometheus.AlreadyRegisteredError{}
	require.ErrorAs(t, r.Register(f.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, []string{"l"})), &are)
	require.Same(t, a, are.ExistingCollector)
}

func TestModes(t *testing.T) {
	for name, want := range map[string]metric.Mode{
		"http_requests_in_flight": prom.ModeLiveSum, "go_goroutines": prom.ModeLiveSum, "build_info": prom.ModeLiveMax,
		"process_start_time_seconds": prom.ModeLiveMin, "last_success_timestamp_seconds": prom.ModeMax,
		"cache_hit_ratio": prom.ModeLiveAll, "cpu_percent": prom.ModeLiveAll, "room_celsius": prom.ModeLiveAll,
	} {
		require.Equal(t, want, prom.ModeByName(name), name)
	}
	dir := t.TempDir()
	var view *multiproc.Set
	for i := range 3 {
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir, Label: fmt.Sprint("w", i)})
		t.Cleanup(func() { require.NoError(t, set.Close()) })
		f := prom.New(set, prom.Options{Mode: func(name string) metric.Mode {
			require.Equal(t, "ns_least", name)
			return prom.ModeMin
		}})
		f.NewGauge(prometheus.GaugeOpts{Namespace: "ns", Name: "least", Help: "h"}).Set(float64(i + 5))
		f.WithMode(prom.ModeMax).NewGaugeVec(prometheus.GaugeOpts{Name: "most", Help: "h"}, []string{"l"}).WithLabelValues("x").Set(float64(i))
		promauto.From(f.WithMode(prom.ModeAll), nil).NewGauge(prometheus.GaugeOpts{Name: "each", Help: "h"}).Set(1)
		prom.New(set, prom.Options{}).NewGauge(prometheus.GaugeOpts{Name: "sum", Help: "h"}).Inc()
		view = set
	}
	require.NoError(t, testutil.GatherAndCompare(directory(t, view), strings.NewReader(`
# HELP each h
# TYPE each gauge
each{pid="w0"} 1
each{pid="w1"} 1
each{pid="w2"} 1
# HELP most h
# TYPE most gauge
most{l="x"} 2
# HELP ns_least h
# TYPE ns_least gauge
ns_least 5
# HELP sum h
# TYPE sum gauge
sum 3
`), "each", "most", "ns_least", "sum"))
}

// TestNamesInTheMergedView shows what the merged view calls otherwise.
func TestNamesInTheMergedView(t *testing.T) {
	f, set := newFactory(t, prom.Options{})
	f.NewCounter(prometheus.CounterOpts{Name: "requests", Help: "h"}).Inc()
	f.NewGauge(prometheus.GaugeOpts{Name: "no_help"})
	f.NewGauge(prometheus.GaugeOpts{Name: "speed", Help: "h", Unit: "knots"})
	f.NewGauge(prometheus.GaugeOpts{Name: "free_bytes", Help: "h", Unit: "bytes"})
	require.NoError(t, set.Open())
	units := map[string]string{}
	for _, family := range instruments(t, set) {
		units[family.GetName()] = family.GetHelp() + "," + family.GetUnit()
	}
	require.Equal(t, map[string]string{"requests_total": "h,", "no_help": "no_help,", "speed": "h,", "free_bytes": "h,bytes"}, units)
}

// TestLosses shows what a store does not hold: quantiles, native buckets,
// functions of counters, and more series than the limit.
func TestLosses(t *testing.T) {
	f, set := newFactory(t, prom.Options{MaxSeries: 2})
	s := f.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h", Objectives: map[float64]float64{.5: .05}})
	s.Observe(3)
	h := f.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", NativeHistogramBucketFactor: 1.1})
	h.Observe(0.3)
	c := f.NewCounterFunc(prometheus.CounterOpts{Name: "f_total", Help: "h"}, func() float64 { return 5 })
	require.Equal(t, 5.0, testutil.ToFloat64(c))
	v := f.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"l"})
	for i := range 4 {
		v.WithLabelValues(fmt.Sprint(i)).Inc()
	}
	n := f.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"})
	n.Add(math.NaN())
	n.Add(math.Inf(1))
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(s, h, c)
	families, err := r.Gather()
	require.NoError(t, err)
	require.Len(t, families, 3)
	for _, family := range families {
		switch m := family.Metric[0]; family.GetName() {
		case "s":
			require.Empty(t, m.Summary.Quantile)
			require.Equal(t, 3.0, m.Summary.GetSampleSum())
		case "h":
			require.Nil(t, m.Histogram.Schema)
			require.Len(t, m.Histogram.Bucket, len(prometheus.DefBuckets))
		}
	}
	names := map[string]int{}
	for _, family := range instruments(t, set) {
		names[family.GetName()] = len(family.Metric)
		for _, m := range family.Metric {
			if family.GetName() == "v_total" && m.Label[0].GetValue() == "__overflow__" {
				require.Equal(t, 2.0, m.Counter.GetValue())
			}
			if family.GetName() == "n_total" {
				require.Zero(t, m.Counter.GetValue(), "neither NaN nor an infinity")
			}
		}
	}
	require.Equal(t, map[string]int{"s": 1, "h": 1, "v_total": 3, "n_total": 1}, names)
}

// TestConstrainedLabels: the values that reach the store are the constrained
// ones. V2 is the default Factory's, which is on the heap here.
func TestConstrainedLabels(t *testing.T) {
	v := prom.V2.NewCounterVec(prom.CounterVecOpts{
		CounterOpts:    prom.CounterOpts{Name: "constrained_total", Help: "h"},
		VariableLabels: prom.ConstrainedLabels{{Name: "a", Constraint: strings.ToLower}, {Name: "b"}},
	})
	v.WithLabelValues("X", "Y").Inc()
	v.WithLabelValues("x", "Y").Inc()
	v.With(prom.Labels{"a": "Z", "b": "Y"}).Inc()
	require.True(t, v.DeleteLabelValues("z", "Y"))
	prom.Reconcile()
	want := "\n# HELP constrained_total h\n# TYPE constrained_total counter\nconstrained_total{a=\"x\",b=\"Y\"} 2\n"
	require.NoError(t, testutil.CollectAndCompare(v, strings.NewReader(want)))
	require.NoError(t, testutil.GatherAndCompare(directory(t, multiproc.Default()), strings.NewReader(want), "constrained_total"))
	for _, c := range []prometheus.Collector{
		prom.V2.NewGaugeVec(prom.GaugeVecOpts{GaugeOpts: prom.GaugeOpts{Name: "constrained_g"}, VariableLabels: prom.UnconstrainedLabels{"a"}}),
		prom.V2.NewHistogramVec(prom.HistogramVecOpts{HistogramOpts: prom.HistogramOpts{Name: "constrained_h"}, VariableLabels: prom.UnconstrainedLabels{"a"}}),
		prom.V2.NewSummaryVec(prom.SummaryVecOpts{SummaryOpts: prom.SummaryOpts{Name: "constrained_s"}, VariableLabels: prom.UnconstrainedLabels{"a"}}),
	} {
		require.NoError(t, prometheus.NewPedanticRegistry().Register(c))
	}
}

// TestWithoutADirectory: nothing changes. The default view is client_golang's,
// with what is registered there, ours among it.
func TestWithoutADirectory(t *testing.T) {
	r := prometheus.NewRegistry()
	c := promauto.NewCounter(prom.CounterOpts{Name: "on_the_heap", Help: "h"})
	require.Error(t, prom.Register(c), "promauto has registered it")
	promauto.With(r).NewHistogramVec(prom.HistogramOpts{Name: "elsewhere"}, []string{"l"}).WithLabelValues("x").Observe(1)
	c.Inc()
	n, err := testutil.GatherAndCount(prom.DefaultGatherer, "on_the_heap", "go_goroutines", "elsewhere")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = testutil.GatherAndCount(r)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	response := httptest.NewRecorder()
	promhttp.Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Contains(t, response.Body.String(), "\non_the_heap 1\n")
	require.True(t, prom.Unregister(c))
	n, err = testutil.GatherAndCount(prom.DefaultGatherer, "on_the_heap")
	require.NoError(t, err)
	require.Zero(t, n)
}

// TestUpdatesDoNotAllocate, but for exemplars.
func TestUpdatesDoNotAllocate(t *testing.T) {
	f, set := newFactory(t, prom.Options{})
	require.NoError(t, set.Open())
	c := f.NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"a", "b"})
	h := f.NewHistogramVec(prometheus.HistogramOpts{Name: "h"}, []string{"a"})
	g, s := f.NewGauge(prometheus.GaugeOpts{Name: "g"}), f.NewSummary(prometheus.SummaryOpts{Name: "s"})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.WithLabelValues("x", "y").Inc()
		c.WithLabelValues("x", "y").Add(1.5)
		h.WithLabelValues("x").Observe(2)
		g.Set(1)
		g.Dec()
		s.Observe(3)
	}))
}

func TestTimer(t *testing.T) {
	f, _ := newFactory(t, prom.Options{})
	h := f.NewHistogram(prometheus.HistogramOpts{Name: "h"})
	d := prom.NewTimer(h).ObserveDuration()
	require.Less(t, d, time.Minute)
	require.Equal(t, 1, testutil.CollectAndCount(h))
}
