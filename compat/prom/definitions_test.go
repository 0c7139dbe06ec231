package prom_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
	"github.com/multiprom/multiprom/compat/prom/promhttp"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

func newFactory(t *testing.T, opts prom.Options) (*prom.Factory, *multiproc.Set) {
	return factoryOn(t, t.TempDir(), opts)
}

// factoryOn is a process in a directory, as it were.
func factoryOn(t *testing.T, dir string, opts prom.Options) (*prom.Factory, *multiproc.Set) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
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

// TestBeyondTheBounds are definitions that client_golang takes and a file has no
// place for, or not for all of: a registry of this process shows what
// client_golang's would.
func TestBeyondTheBounds(t *testing.T) {
	f, set := newFactory(t, prom.Options{})
	var labels, values []string
	for i := range form.MaxLabels + 1 {
		labels, values = append(labels, fmt.Sprint("l", i)), append(values, "v")
	}
	for what, tc := range map[string]struct {
		define func(m maker) prometheus.Collector
		stored bool
	}{
		"only +Inf": {func(m maker) prometheus.Collector {
			h := m.histogram(prometheus.HistogramOpts{Name: "i", Buckets: []float64{math.Inf(1)}})
			h.Observe(3)
			return h
		}, true},
		"2,000 buckets": {func(m maker) prometheus.Collector {
			h := m.histogram(prometheus.HistogramOpts{Name: "b", Buckets: prometheus.LinearBuckets(0, 1, 2000)})
			h.Observe(1800.5)
			return h
		}, true},
		"10,000 buckets": {func(m maker) prometheus.Collector {
			h := m.histogramVec(prometheus.HistogramOpts{Name: "bb", Buckets: prometheus.LinearBuckets(0, 1, 10_000)}, nil)
			h.WithLabelValues().Observe(1800.5)
			return h
		}, false},
		"too many labels": {func(m maker) prometheus.Collector {
			v := m.gaugeVec(prometheus.GaugeOpts{Name: "l"}, labels)
			v.WithLabelValues(values...).Set(3)
			return v
		}, false},
		"long help": {func(m maker) prometheus.Collector {
			s := m.summary(prometheus.SummaryOpts{Name: "h", Help: strings.Repeat("ä", 10_000)})
			s.Observe(3)
			return s
		}, true},
		"long name": {func(m maker) prometheus.Collector {
			v := m.counterVec(prometheus.CounterOpts{Name: strings.Repeat("n", form.MaxNameLen+1)}, nil)
			v.WithLabelValues().Inc()
			return v
		}, false},
		"infinite": {func(m maker) prometheus.Collector {
			c := m.counter(prometheus.CounterOpts{Name: "infinite_total"})
			c.Add(1)
			c.Add(math.Inf(1))
			return c
		}, true},
		"no number": {func(m maker) prometheus.Collector {
			v := m.counterVec(prometheus.CounterOpts{Name: "nan_total"}, []string{"l"})
			v.WithLabelValues("x").Add(math.NaN())
			return v
		}, true},
	} {
		theirs, ours := prometheus.NewRegistry(), prom.NewRegistry()
		theirs.MustRegister(tc.define(genuine))
		before := len(instruments(t, set))
		ours.MustRegister(tc.define(over(f)))
		want, err := theirs.Gather()
		require.NoError(t, err, what)
		got, err := ours.Gather()
		require.NoError(t, err, what)
		equal(t, want, got, what)
		require.Equal(t, tc.stored, len(instruments(t, set)) > before, what)
	}
	require.Equal(t, 3, lossesOf(t, set)["refused"])
}

// lossesOf returns what multiprom_compat_losses_total counts.
func lossesOf(t *testing.T, set *multiproc.Set) map[string]int {
	families, err := convert.ToPrometheus(registry.Instruments(set)).Gather()
	require.NoError(t, err)
	out := map[string]int{}
	for _, f := range families {
		if f.GetName() == "multiprom_compat_losses_total" {
			for _, m := range f.Metric {
				out[m.Label[0].GetValue()] = int(m.Counter.GetValue())
			}
		}
	}
	return out
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
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir, ProcessID: fmt.Sprint("w", i)})
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

// TestLosses shows what a store does not hold: quantiles, resets of native buckets, and
// more series than the limit.
func TestLosses(t *testing.T) {
	f, set := newFactory(t, prom.Options{MaxSeries: 2})
	s := f.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h", Objectives: map[float64]float64{.5: .05}})
	s.Observe(3)
	h := f.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", NativeHistogramBucketFactor: 1.1, NativeHistogramMinResetDuration: time.Hour})
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
			require.Len(t, m.Summary.Quantile, 1, "of this process")
			require.Equal(t, 3.0, m.Summary.GetSampleSum())
		case "h":
			require.EqualValues(t, 3, m.Histogram.GetSchema())
			require.Empty(t, m.Histogram.Bucket)
		}
	}
	names := map[string]int{}
	for _, family := range instruments(t, set) {
		require.Empty(t, family.Metric[0].Summary.GetQuantile())
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
	require.Equal(t, map[string]int{"s": 1, "h": 1, "v_total": 3, "n_total": 1, "f_total": 1}, names)
	require.Equal(t, map[string]int{"quantiles": 1, "native_histogram": 1}, lossesOf(t, set))
}

// TestLossesAreSaidOnce: each definition is counted, the log has the first one of a kind.
func TestLossesAreSaidOnce(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	f, set := newFactory(t, prom.Options{})
	for i := range 3 {
		f.NewSummary(prometheus.SummaryOpts{Name: fmt.Sprint("s", i), Help: "h", Objectives: map[float64]float64{.5: .05}})
		f.NewHistogram(prometheus.HistogramOpts{Name: fmt.Sprint("h", i), Help: "h", NativeHistogramBucketFactor: 1.1, NativeHistogramMinResetDuration: time.Hour})
		f.NewGauge(prometheus.GaugeOpts{Name: strings.Repeat("n", form.MaxNameLen+1+i), Help: "h"})
		for range 2 {
			f.NewGauge(prometheus.GaugeOpts{Name: fmt.Sprint("g", i), Help: "h"})
		}
	}
	require.Equal(t, map[string]int{"quantiles": 3, "native_histogram": 3, "refused": 3, "renamed": 3}, lossesOf(t, set))
	require.Equal(t, 4, strings.Count(log.String(), "level=WARN"), log.String())
	for _, words := range []string{"quantiles are not merged", "a native histogram is not reset", "has another name", "cannot be in the directory"} {
		require.Equal(t, 1, strings.Count(log.String(), words), words)
	}
}

// TestConstrainedLabels: V2 is the default Factory's, client_golang's own here. In a
// directory, TestInADirectory has it.
func TestConstrainedLabels(t *testing.T) {
	v := prom.V2.NewCounterVec(prom.CounterVecOpts{
		CounterOpts:    prom.CounterOpts{Name: "constrained_total", Help: "h"},
		VariableLabels: prom.ConstrainedLabels{{Name: "a", Constraint: strings.ToLower}, {Name: "b"}},
	})
	v.WithLabelValues("X", "Y").Inc()
	v.WithLabelValues("x", "Y").Inc()
	v.With(prom.Labels{"a": "Z", "b": "Y"}).Inc()
	require.True(t, v.DeleteLabelValues("z", "Y"))
	want := "\n# HELP constrained_total h\n# TYPE constrained_total counter\nconstrained_total{a=\"x\",b=\"Y\"} 2\n"
	require.NoError(t, testutil.CollectAndCompare(v, strings.NewReader(want)))
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
