package prom_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	theirhttp "github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
	"github.com/multiprom/multiprom/compat/prom/promhttp"
	"github.com/multiprom/multiprom/compat/publish"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// TestInADirectory runs tests of the default Factory in processes that have one.
func TestInADirectory(t *testing.T) {
	if multiproc.Default().Dir() != "" {
		t.Skip("this process has one")
	}
	for _, name := range []string{
		"TestConstructors", "TestConstrainedLabels", "TestDefaultRegistry", "TestPublishedByEach", "TestReset", "TestFunctions", "TestReplacedMetric",
	} {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.count=1", "-test.run=^"+name+"$")
		cmd.Env = append(os.Environ(), multiproc.EnvDir+"="+t.TempDir())
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
		require.Contains(t, string(out), "--- PASS: "+name)
	}
}

// needsDirectory skips a test that TestInADirectory runs.
func needsDirectory(t *testing.T) {
	if multiproc.Default().Dir() == "" {
		t.Skip("TestInADirectory runs it, in a process that has a directory")
	}
}

// another is the default Factory of another process, as it were.
func another(t *testing.T) *prom.Factory {
	f, _ := factoryOn(t, multiproc.Default().Dir(), prom.Options{})
	return f
}

// TestDefaultRegistry in a directory: the Gatherer of the default registerer, which
// libraries ask for, has the sum of all processes. So do a library's own registries.
// Collectors of others are there too.
func TestDefaultRegistry(t *testing.T) {
	needsDirectory(t)
	theirs := prometheus.NewGauge(prometheus.GaugeOpts{Name: "theirs", Help: "h"})
	prom.MustRegister(theirs)
	theirs.Set(3)
	own := prom.NewRegistry()
	define := func(f *prom.Factory, r, own prom.Registerer, n float64) {
		promauto.From(f, r).NewCounter(prom.CounterOpts{Name: "requests", Help: "h"}).Add(n)
		promauto.From(f, own).NewCounter(prom.CounterOpts{Name: "own_total", Help: "h"}).Add(10 * n)
		hidden := f.NewCounter(prom.CounterOpts{Name: "hidden", Help: "h"})
		r.MustRegister(unchecked{hidden})
		hidden.Add(n)
		c := f.NewCounterVec(prom.CounterOpts{Name: "prefixed_total", Help: "h"}, []string{"l"})
		prom.WrapRegistererWithPrefix("app_", r).MustRegister(c)
		c.WithLabelValues("x").Add(100 * n)
	}
	define(prom.Default(), prom.DefaultRegisterer, own, 1)
	define(another(t), prom.NewRegistry(), prom.NewRegistry(), 2)
	other := another(t).NewGauge(prom.GaugeOpts{Name: "of_another_program", Help: "h"})
	other.Set(7)

	gatherer, ok := prom.DefaultRegisterer.(prometheus.Gatherer)
	require.True(t, ok)
	want := `
# HELP app_prefixed_total h
# TYPE app_prefixed_total counter
app_prefixed_total{l="x"} 300
# HELP hidden h
# TYPE hidden counter
hidden 3
# HELP of_another_program h
# TYPE of_another_program gauge
of_another_program 7
# HELP requests h
# TYPE requests counter
requests 3
# HELP theirs h
# TYPE theirs gauge
theirs 3
`
	names := []string{"app_prefixed_total", "prefixed_total", "requests", "requests_total", "hidden", "hidden_total", "own_total", "theirs", "of_another_program", "go_goroutines"}
	require.NoError(t, testutil.GatherAndCompare(gatherer, strings.NewReader(want), names...))
	require.NoError(t, testutil.GatherAndCompare(prom.DefaultGatherer, strings.NewReader(want), names...))
	require.NoError(t, testutil.GatherAndCompare(own, strings.NewReader("# HELP own_total h\n# TYPE own_total counter\nown_total 30\n")))
	require.Equal(t, 3, count(t, gatherer, "process_start_time_seconds"), "of each worker")

	text := body(promhttp.Handler())
	require.Contains(t, text, "\nrequests 3\n")
	require.Contains(t, text, "promhttp_metric_handler_requests_total")
	require.Contains(t, body(theirhttp.Handler()), "\nrequests 1\n", "client_golang's own handler has this process")
	require.Contains(t, body(exposition.Handler(registry.Default())), "\nown_total 30\n", "all that the directory has")

	require.False(t, prom.WrapRegistererWithPrefix("app_", prom.DefaultRegisterer).Unregister(theirs))
	require.True(t, prom.Unregister(theirs))
	require.Zero(t, count(t, prom.DefaultGatherer, "theirs"))
}

// TestPublishedByEach: what a library has in client_golang's own default registry, and
// each process publishes, is the sum in our handler too, beside our own metrics. What
// nobody publishes is of this process.
func TestPublishedByEach(t *testing.T) {
	needsDirectory(t)
	library := func(r prometheus.Registerer, set *multiproc.Set, n float64) *publish.Publisher {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "theirs_total", Help: "h"}, []string{"l"})
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "theirs_ratio", Help: "h"})
		r.MustRegister(c, g)
		c.WithLabelValues("x").Add(n)
		g.Set(n)
		p, err := publish.Start(r.(prometheus.Gatherer), publish.Options{Set: set})
		require.NoError(t, err)
		require.NoError(t, p.Publish(t.Context()))
		return p
	}
	wrapped := func(f *prom.Factory, r prom.Registerer, n float64) {
		c := f.NewCounter(prom.CounterOpts{Name: "ours_total", Help: "h"})
		prom.WrapRegistererWithPrefix("app_", r).MustRegister(c)
		c.Add(n)
	}
	wrapped(prom.Default(), prom.DefaultRegisterer, 4)
	defer library(prometheus.DefaultRegisterer, multiproc.Default(), 1).Close()
	f, set := factoryOn(t, multiproc.Default().Dir(), prom.Options{})
	wrapped(f, prom.NewRegistry(), 5)
	defer library(prometheus.NewRegistry(), set, 2).Close()
	alone := prometheus.NewCounter(prometheus.CounterOpts{Name: "alone_total", Help: "h"})
	prometheus.MustRegister(alone)
	alone.Add(3)

	text := body(promhttp.Handler())
	for _, line := range []string{`theirs_total{l="x"} 3`, "alone_total 3", "app_ours_total 9"} {
		require.Contains(t, text, "\n"+line+"\n")
	}
	require.Equal(t, 2, strings.Count(text, "\ntheirs_ratio{pid="), text)
	require.NotContains(t, text, "\ntheirs_ratio 1")
}

func body(h http.Handler) string {
	response := httptest.NewRecorder()
	h.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return response.Body.String()
}

// TestOurHandlerWithoutADirectory shows client_golang's default registry too.
func TestOurHandlerWithoutADirectory(t *testing.T) {
	if multiproc.Default().Dir() != "" {
		t.Skip("this process has one")
	}
	h := promauto.NewHistogram(prom.HistogramOpts{Name: "shown_native", Help: "h", Buckets: []float64{1, 2}, NativeHistogramBucketFactor: 1.1})
	h.Observe(1.5)
	s := promauto.NewSummary(prom.SummaryOpts{Name: "shown_summary", Help: "h", Objectives: map[float64]float64{.5: .05}})
	s.Observe(3)
	theirs := prometheus.NewCounter(prometheus.CounterOpts{Name: "shown_total", Help: "h"})
	prometheus.MustRegister(theirs)
	text := body(exposition.Handler(registry.Default()))
	for _, line := range []string{
		"shown_native_bucket{le=\"2\"} 1", "shown_summary{quantile=\"0.5\"} 3", "shown_total 0", "go_goroutines ", "process_open_fds ",
	} {
		require.Contains(t, text, "\n"+line)
	}
	_, err := registry.Default().Gather(context.Background())
	require.NoError(t, err)
	for _, c := range []prometheus.Collector{h, s, theirs} {
		require.True(t, prom.Unregister(c))
	}
	require.NotContains(t, body(exposition.Handler(registry.Default())), "shown_")
}

// TestFunctions of all kinds, beside a metric of the same name, over two processes.
func TestFunctions(t *testing.T) {
	needsDirectory(t)
	define := func(f *prom.Factory, n float64) (*prom.Registry, *atomic.Value) {
		says, r := new(atomic.Value), prom.NewRegistry() // the Set's goroutine asks too
		says.Store(n)
		value := func() float64 { return says.Load().(float64) }
		f.NewGauge(prom.GaugeOpts{Name: "g", Help: "h"}).Set(100) // in no registry
		auto := promauto.From(f, r)
		auto.NewGaugeFunc(prom.GaugeOpts{Name: "g", Help: "h"}, value)
		for _, l := range []string{"a", "b"} {
			auto.NewGaugeFunc(prom.GaugeOpts{Name: "gs", Help: "h", ConstLabels: prom.Labels{"l": l}}, value)
			auto.NewCounterFunc(prom.CounterOpts{Name: "c_total", Help: "h", ConstLabels: prom.Labels{"l": l}}, value)
		}
		auto.NewUntypedFunc(prom.UntypedOpts{Name: "u", Help: "h"}, value)
		auto.NewCounterFunc(prom.CounterOpts{Name: "panics_total", Help: "h"}, func() float64 {
			if f == prom.Default() {
				panic(fmt.Errorf("as it were"))
			}
			return 1
		})
		return r, says
	}
	r, says := define(prom.Default(), 1)
	require.NoError(t, multiproc.Open())
	other, set := factoryOn(t, multiproc.Default().Dir(), prom.Options{})
	define(other, 2)
	require.NoError(t, set.Open())
	set.Publish()
	text := func(g, c int) *strings.Reader {
		return strings.NewReader(fmt.Sprintf(`
# HELP c_total h
# TYPE c_total counter
c_total{l="a"} %[2]d
c_total{l="b"} %[2]d
# HELP g h
# TYPE g gauge
g %[1]d
# HELP gs h
# TYPE gs gauge
gs{l="a"} %[1]d
gs{l="b"} %[1]d
# HELP panics_total h
# TYPE panics_total counter
panics_total 1
# HELP u h
# TYPE u untyped
u %[1]d
`, g, c))
	}
	require.NoError(t, testutil.GatherAndCompare(r, text(3, 3)))
	says.Store(5.0)
	require.NoError(t, testutil.GatherAndCompare(r, text(7, 7)))
	says.Store(1.0) // the counters have begun again
	require.NoError(t, testutil.GatherAndCompare(r, text(3, 8)))
}

// TestReset begins again with all metrics of this process, those in variables too.
func TestReset(t *testing.T) {
	needsDirectory(t)
	r := prom.NewRegistry()
	auto := promauto.With(r)
	c, g := auto.NewCounter(prom.CounterOpts{Name: "c_total", Help: "h"}), auto.NewGauge(prom.GaugeOpts{Name: "g", Help: "h"})
	h, s := auto.NewHistogram(prom.HistogramOpts{Name: "h", Help: "h"}), auto.NewSummary(prom.SummaryOpts{Name: "s", Help: "h"})
	v := auto.NewCounterVec(prom.CounterOpts{Name: "v_total", Help: "h"}, []string{"l"})
	fill := func() {
		c.Add(2)
		g.Set(2)
		h.Observe(2)
		s.Observe(2)
		v.WithLabelValues("x").Add(2)
	}
	fill()
	want, err := r.Gather()
	require.NoError(t, err)
	prom.Reset()
	require.Zero(t, testutil.ToFloat64(c)+testutil.ToFloat64(g))
	require.Zero(t, count(t, r, "v_total"))
	require.Zero(t, testutil.CollectAndCount(v))
	families, err := r.Gather()
	require.NoError(t, err)
	require.Len(t, families, 4)
	for _, f := range families {
		m := f.Metric[0]
		require.Zero(t, m.Counter.GetValue()+m.Gauge.GetValue()+m.Histogram.GetSampleSum()+m.Summary.GetSampleSum(), f.GetName())
	}
	fill()
	got, err := r.Gather()
	require.NoError(t, err)
	equal(t, want, got, "after Reset")
}
