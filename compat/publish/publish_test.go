package publish_test

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/publish"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// TestByName asks for every metric that client_golang's collectors have.
func TestByName(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: "app"}),
		collectors.NewBuildInfoCollector(),
	)
	families, err := convert.FromGatherer(reg).Gather(t.Context())
	require.NoError(t, err)
	require.Greater(t, len(families), 80)
	want := map[string]metric.Mode{
		"go_info": metric.ModeLiveMax, "go_gc_gogc_percent": metric.ModeLiveAll,
		"go_memstats_last_gc_time_seconds": metric.ModeMax, "go_memstats_alloc_bytes_total": metric.ModeSum,
		"process_start_time_seconds": metric.ModeLiveMin, "app_process_start_time_seconds": metric.ModeLiveMin,
		"go_build_info": metric.ModeLiveMax,
	}
	published := map[string]bool{}
	for _, f := range families {
		mode, wanted := publish.ByName(f)
		published[f.Name] = wanted
		if f.Type == metric.Gauge || f.Type == metric.Unknown {
			expected, ok := want[f.Name]
			if !ok {
				expected = metric.ModeLiveSum
			}
			require.Equal(t, expected, mode, f.Name)
			delete(want, f.Name)
		}
	}
	require.LessOrEqual(t, len(want), 2, "%v: only what /proc tells may be missing", want)
	for _, name := range []string{"go_goroutines", "go_info", "go_gc_duration_seconds", "go_sched_latencies_seconds"} {
		require.True(t, published[name], name)
	}
	for _, name := range []string{"go_build_info", "process_cpu_seconds", "process_open_fds", "process_network_receive_bytes"} {
		require.False(t, published[name], name)
	}
}

// TestMode: families are left out and merged as the program says.
func TestMode(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	reg := prometheus.NewRegistry()
	for _, name := range []string{"a", "b"} {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "G."})
		reg.MustRegister(g)
		g.Set(7)
	}
	p, err := publish.Start(reg, publish.Options{Set: set, Name: "mine", Mode: func(f *metric.Family) (metric.Mode, bool) {
		return metric.ModeLiveAll, f.Name == "a"
	}})
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Publish(t.Context()))
	families := gather(t, set)
	require.Len(t, families["a"].Series, 1)
	require.Len(t, families["a"].Series[0].Labels, 1, "pid")
	require.NotContains(t, families, "b")
	publisher, _ := families["multiprom_publish_failures"].Series[0].Labels.Get("publisher")
	require.Equal(t, "mine", publisher)
}

// TestInstrumentsOfTheRegistry: a registry may hold metrics that are in the
// store beside others, of every type, also when they are declared later.
func TestInstrumentsOfTheRegistry(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	factory := prom.New(set, prom.Options{})
	defer factory.Close()
	reg := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		factory.NewCounter(prometheus.CounterOpts{Name: "without_suffix"}),
		factory.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "C."}),
		factory.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "G."}),
		factory.NewHistogram(prometheus.HistogramOpts{Name: "h_seconds", Help: "H."}),
		factory.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "S."}),
		factory.NewGaugeFunc(prometheus.GaugeOpts{Name: "gf", Help: "G."}, func() float64 { return 1 }),
		factory.NewCounterFunc(prometheus.CounterOpts{Name: "cf_total", Help: "C."}, func() float64 { return 2 }),
	} {
		reg.MustRegister(c)
		switch c := c.(type) {
		case prometheus.Gauge: // before Counter, whose methods it has
			c.Set(1)
		case prometheus.Counter:
			c.Inc()
		case prometheus.Observer:
			c.Observe(1)
		}
	}
	theirs := prometheus.NewGauge(prometheus.GaugeOpts{Name: "theirs", Help: "T."})
	reg.MustRegister(theirs)
	theirs.Inc()
	p, err := publish.Start(reg, publish.Options{Set: set})
	require.NoError(t, err)
	defer p.Close()
	for range 2 {
		require.NoError(t, p.Publish(t.Context()))
	}
	families := gather(t, set)
	for name, value := range map[string]float64{"without_suffix": 1, "c": 1, "g": 1, "gf": 1, "theirs": 1, "cf": 2} {
		require.Len(t, families[name].Series, 1, name)
		require.Equal(t, value, families[name].Series[0].Value, name)
	}
	require.EqualValues(t, 1, families["h_seconds"].Series[0].Count)
	require.EqualValues(t, 1, families["s"].Series[0].Count)

	multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{Name: "theirs", Help: "T.", Mode: metric.ModeLiveSum})).Set(3)
	require.NoError(t, p.Publish(t.Context()))
	require.Equal(t, 3.0, gather(t, set)["theirs"].Series[0].Value, "the instrument takes over")
}

// TestRefused: what would count everything again and again, and what cannot
// start.
func TestRefused(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	p, err := publish.Start(convert.ToPrometheus(registry.Instruments(set)), publish.Options{Set: set})
	require.NoError(t, err)
	require.ErrorIs(t, p.Publish(t.Context()), publish.ErrMergedView)
	require.ErrorIs(t, p.Close(), publish.ErrMergedView)
	require.ErrorIs(t, p.Publish(t.Context()), publish.ErrClosed)

	// A view that says nothing of itself is known by what its publisher says.
	view, err := aggregate.Open(set.Dir(), aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer view.Close()
	p, err = publish.Start(convert.ToPrometheus(view), publish.Options{Set: set, Name: "two"})
	require.NoError(t, err)
	require.ErrorIs(t, p.Publish(t.Context()), publish.ErrMergedView)
	require.Error(t, p.Close())

	_, err = publish.Start(nil, publish.Options{Set: set})
	require.ErrorContains(t, err, "there is no Gatherer")
	_, err = publish.Start(prometheus.NewRegistry(), publish.Options{Set: set, Source: registry.Instruments(set)})
	require.ErrorContains(t, err, "Options.Source is set")
	_, err = publish.Start(prometheus.NewRegistry(), publish.Options{Set: multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir() + "/none"})})
	require.Error(t, err)
}

func gather(t *testing.T, set *multiproc.Set) map[string]*metric.Family {
	t.Helper()
	families, err := registry.Instruments(set).Gather(t.Context())
	require.NoError(t, err)
	out := map[string]*metric.Family{}
	for _, f := range families {
		out[f.Name] = f
	}
	return out
}

// TestNativeHistograms: native buckets are published, with the classic ones if there are some.
func TestNativeHistograms(t *testing.T) {
	dir := t.TempDir()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	defer set.Close()
	r := prometheus.NewRegistry()
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "native", Help: "H.", NativeHistogramBucketFactor: 1.1})
	both := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "both", Help: "H.", NativeHistogramBucketFactor: 1.1, Buckets: []float64{1}})
	only := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "only_inf", Help: "H.", Buckets: []float64{math.Inf(1)}})
	r.MustRegister(native, both, only)
	for _, h := range []prometheus.Histogram{native, both, only} {
		h.Observe(3)
	}
	p, err := publish.Start(r, publish.Options{Set: set, Period: time.Hour})
	require.NoError(t, err)
	defer p.Close()
	for range 3 {
		require.NoError(t, p.Publish(t.Context()))
	}
	set.Publish()
	now := view(t, dir)()
	for _, name := range []string{"native", "both"} {
		h := now[name][0].Histogram
		require.EqualValues(t, 3, h.GetSchema(), name)
		require.EqualValues(t, 13, h.PositiveSpan[0].GetOffset())
		require.Equal(t, []int64{1}, h.PositiveDelta)
	}
	require.Equal(t, 1.0, one(t, now["native"]))
	require.Equal(t, 1.0, one(t, now["both"]))
	require.Equal(t, 1.0, one(t, now["only_inf"]))
	require.NotContains(t, now, "multiprom_compat_losses_total")
	require.Zero(t, one(t, now["multiprom_publish_failures_total"]))
}

// TestTypesOfTheirs: untyped metrics stay untyped, and are published without their
// timestamps, as all are; summaries without their quantiles. None is an error.
func TestTypesOfTheirs(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	defer set.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "u", Help: "h"}, func() float64 { return 3 }))
	r.MustRegister(stamped{prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"})})
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h", Objectives: map[float64]float64{.5: .05}})
	s.Observe(5)
	r.MustRegister(s)
	p, err := publish.Start(r, publish.Options{Set: set, Period: time.Hour})
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Publish(t.Context()))
	now := gather(t, set)
	require.Equal(t, metric.Unknown, now["u"].Type)
	require.Equal(t, 3.0, now["u"].Series[0].Value)
	require.Equal(t, metric.Series{Value: 7, Labels: now["g"].Series[0].Labels}, now["g"].Series[0])
	require.EqualValues(t, 1, now["s"].Series[0].Count)
	require.Equal(t, 5.0, now["s"].Series[0].Sum)
	require.Empty(t, now["s"].Series[0].Quantiles)
}

// stamped is a gauge of 7 with a timestamp.
type stamped struct{ prometheus.Gauge }

func (s stamped) Collect(ch chan<- prometheus.Metric) {
	s.Set(7)
	ch <- prometheus.NewMetricWithTimestamp(time.Unix(1e9, 0), s.Gauge)
}
