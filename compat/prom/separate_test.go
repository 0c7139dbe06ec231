package prom_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
	"github.com/multiprom/multiprom/multiproc"
)

// TestDefinitionsThatDiffer from an earlier one of the same name, in all that
// client_golang lets differ between two registries: neither a panic nor a loss. Each
// registry shows its own, as all processes have it, and the merged view has both.
func TestDefinitionsThatDiffer(t *testing.T) {
	dir := t.TempDir()
	first := func(m maker, r prometheus.Registerer) prometheus.Counter {
		c := m.counter(prometheus.CounterOpts{Name: "x_total", Help: "h"})
		r.MustRegister(c)
		return c
	}
	for what, second := range map[string]func(m maker, r prometheus.Registerer){
		"equal": func(m maker, r prometheus.Registerer) { first(m, r).Add(3) },
		"help": func(m maker, r prometheus.Registerer) {
			c := m.counter(prometheus.CounterOpts{Name: "x_total", Help: "i"})
			r.MustRegister(c)
			c.Add(3)
		},
		"type": func(m maker, r prometheus.Registerer) {
			g := m.gauge(prometheus.GaugeOpts{Name: "x_total", Help: "h"})
			r.MustRegister(g)
			g.Set(3)
		},
		"labels": func(m maker, r prometheus.Registerer) {
			v := m.counterVec(prometheus.CounterOpts{Name: "x_total", Help: "h"}, []string{"a"})
			r.MustRegister(v)
			v.WithLabelValues("b").Add(3)
		},
		"constant labels": func(m maker, r prometheus.Registerer) {
			c := m.counter(prometheus.CounterOpts{Name: "x_total", Help: "h", ConstLabels: prometheus.Labels{"z": "1"}})
			r.MustRegister(c)
			c.Add(3)
		},
		"name of a sample": func(m maker, r prometheus.Registerer) {
			h := m.histogram(prometheus.HistogramOpts{Name: "x", Help: "h"})
			r.MustRegister(h)
			h.Observe(3)
		},
		"no suffix": func(m maker, r prometheus.Registerer) {
			c := m.counter(prometheus.CounterOpts{Name: "x", Help: "h"})
			r.MustRegister(c)
			c.Add(3)
		},
		"buckets": func(m maker, r prometheus.Registerer) {
			h := m.histogram(prometheus.HistogramOpts{Name: "y", Help: "h", Buckets: []float64{1}})
			h.Observe(1) // in no registry
			h = m.histogram(prometheus.HistogramOpts{Name: "y", Help: "h", Buckets: []float64{2, 4}})
			r.MustRegister(h)
			h.Observe(3)
		},
	} {
		t.Run(what, func(t *testing.T) {
			theirs := [2]*prometheus.Registry{prometheus.NewRegistry(), prometheus.NewRegistry()}
			first(genuine, theirs[0]).Add(4)
			second(genuine, theirs[1])
			second(genuine, prometheus.NewRegistry())
			dir := filepath.Join(dir, strings.ReplaceAll(what, " ", "_"))
			require.NoError(t, os.Mkdir(dir, 0o700))
			var ours [2]*prom.Registry
			for i := range 2 { // two processes, as it were
				f, _ := factoryOn(t, dir, prom.Options{})
				ours = [2]*prom.Registry{prom.NewRegistry(), prom.NewRegistry()}
				c := first(over(f), ours[0])
				c.Add(float64(1 + 2*i))
				if i == 0 {
					second(over(f), ours[1])
					second(over(f), prom.NewRegistry())
					want, err := theirs[1].Gather()
					require.NoError(t, err)
					got, err := ours[1].Gather()
					require.NoError(t, err)
					equal(t, want, got, "the second")
				}
			}
			want, err := theirs[0].Gather()
			require.NoError(t, err)
			got, err := ours[0].Gather()
			require.NoError(t, err)
			equal(t, want, got, "the first, of both processes")
		})
	}
}

// TestSecondRegistryAcrossProcesses: the processes' second registries are one, as
// their first ones are.
func TestSecondRegistryAcrossProcesses(t *testing.T) {
	dir := t.TempDir()
	var registries [2][2]*prom.Registry
	for process := range 2 {
		f, _ := factoryOn(t, dir, prom.Options{})
		for number := range 2 {
			r := prom.NewRegistry()
			promauto.From(f, r).NewCounterVec(prometheus.CounterOpts{Name: "x_total", Help: "h"}, []string{"l"}).
				WithLabelValues("a").Add(float64(10*number + process + 1))
			registries[process][number] = r
		}
	}
	for process := range 2 {
		for number, want := range []float64{3, 23} {
			require.NoError(t, testutil.GatherAndCompare(registries[process][number], strings.NewReader(fmt.Sprintf(
				"# HELP x_total h\n# TYPE x_total counter\nx_total{l=\"a\"} %v\n", want))))
		}
	}
	require.NoError(t, testutil.GatherAndCompare(viewOf(t, dir), strings.NewReader(`
# HELP x_registry_2_total h
# TYPE x_registry_2_total counter
x_registry_2_total{l="a"} 23
# HELP x_total h
# TYPE x_total counter
x_total{l="a"} 3
`), "x_total", "x_registry_2_total"))
}

// TestVecsFromRemoteInput makes Vecs of one name with ever other label names, as a
// server does that is told its metrics by its clients, and registers them unchecked.
func TestVecsFromRemoteInput(t *testing.T) {
	dir := t.TempDir()
	sets := [][]string{nil, {"a"}, {"a", "b"}, {"b"}, {"c", "a"}, {"d", "e", "f"}}
	fill := func(m maker, r prometheus.Registerer) {
		for i, names := range sets {
			values := make([]string, len(names))
			for j := range values {
				values[j] = fmt.Sprint("v", j)
			}
			c := m.counterVec(prometheus.CounterOpts{Name: "x_total", Help: "h"}, names)
			h := m.histogramVec(prometheus.HistogramOpts{Name: "y", Help: "h", Buckets: []float64{float64(i + 1)}}, names)
			r.MustRegister(unchecked{c}, unchecked{h})
			c.WithLabelValues(values...).Add(float64(i + 1))
			h.WithLabelValues(values...).Observe(2.5)
		}
	}
	theirs := prometheus.NewRegistry()
	fill(genuine, theirs)
	fill(genuine, theirs)
	_, err := theirs.Gather()
	require.Error(t, err, "each series twice")
	theirs = prometheus.NewRegistry()
	fill(genuine, theirs)
	want, err := theirs.Gather()
	require.NoError(t, err)

	f, _ := factoryOn(t, dir, prom.Options{})
	ours := prom.NewRegistry()
	fill(over(f), ours)
	got, err := ours.Gather()
	require.NoError(t, err)
	equal(t, want, got, "one process")
	view, err := viewOf(t, dir).Gather()
	require.NoError(t, err)
	require.Equal(t, len(sets), len(view[slices.IndexFunc(view, func(f *dto.MetricFamily) bool { return f.GetName() == "x_total" })].Metric))

	other, _ := factoryOn(t, dir, prom.Options{})
	fill(over(other), prom.NewRegistry())
	got, err = ours.Gather()
	require.NoError(t, err)
	for _, family := range got {
		for _, m := range family.Metric {
			if c := m.Counter; c != nil {
				i := slices.IndexFunc(want[0].Metric, func(w *dto.Metric) bool {
					return slices.EqualFunc(w.Label, m.Label, func(a, b *dto.LabelPair) bool { return proto.Equal(a, b) })
				})
				require.Equal(t, 2*want[0].Metric[i].Counter.GetValue(), c.GetValue())
			} else {
				require.EqualValues(t, 2, m.Histogram.GetSampleCount())
			}
		}
	}
}

// TestUnregister takes a metric out of a registry. One that is made again begins at
// 0, under the same name in the merged view, and the first one goes.
func TestUnregister(t *testing.T) {
	f, set := newFactory(t, prom.Options{})
	r := prom.NewRegistry()
	opts := prometheus.CounterOpts{Name: "c_total", Help: "h"}
	c := promauto.From(f, r).NewCounter(opts)
	c.Add(5)
	require.Equal(t, 1, count(t, r, "c_total"))
	require.True(t, r.Unregister(c))
	require.False(t, r.Unregister(c))
	require.Zero(t, count(t, r, "c_total"))
	require.NoError(t, r.Register(c), "it goes on")
	text := func(n int) *strings.Reader {
		return strings.NewReader(fmt.Sprintf("# HELP c_total h\n# TYPE c_total counter\nc_total %d\n", n))
	}
	require.NoError(t, testutil.GatherAndCompare(r, text(5)))
	require.True(t, r.Unregister(c))
	again := promauto.From(f, r).NewCounter(opts)
	require.NoError(t, testutil.GatherAndCompare(r, text(0)))
	again.Inc()
	c.Inc() // goes nowhere
	require.NoError(t, testutil.GatherAndCompare(r, text(1)))
	require.NoError(t, testutil.GatherAndCompare(directory(t, set), text(1), "c_total", "c_registry_2_total"))
}

// TestEqualDefinitions are metrics of their own, as in client_golang, unless they are
// shared.
func TestEqualDefinitions(t *testing.T) {
	f, _ := newFactory(t, prom.Options{})
	opts := prometheus.CounterOpts{Name: "x_total", Help: "h"}
	f.NewCounter(opts).Inc()
	require.Zero(t, testutil.ToFloat64(f.NewCounter(opts)))
	f.Shared().NewCounter(opts).Add(7)
	require.Equal(t, 7.0, testutil.ToFloat64(f.Shared().NewCounter(opts)))
	for i, zone := range []string{"1", "2"} {
		opts := prometheus.CounterOpts{Name: "zoned_total", Help: "h", ConstLabels: prometheus.Labels{"zone": zone}}
		f.Shared().NewCounter(opts).Add(float64(i + 1))
		require.Equal(t, float64(i+1), testutil.ToFloat64(f.Shared().NewCounter(opts)), "another metric of the family")
	}

	// The idiom of libraries that are made more than once.
	gopts, r := prometheus.GaugeOpts{Name: "g", Help: "h"}, prom.NewRegistry()
	a := f.NewGaugeVec(gopts, []string{"l"})
	require.NoError(t, r.Register(a))
	for range 3 {
		are := prometheus.AlreadyRegisteredError{}
		require.ErrorAs(t, r.Register(f.NewGaugeVec(gopts, []string{"l"})), &are)
		require.Same(t, a, are.ExistingCollector)
	}
	a.WithLabelValues("x").Set(2)
	second := f.NewGaugeVec(gopts, []string{"l"})
	second.WithLabelValues("x").Set(3)
	require.NoError(t, prom.NewRegistry().Register(second))
	require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader("# HELP g h\n# TYPE g gauge\ng{l=\"x\"} 2\n")))
}

// TestMetricsThatNobodyHas leave the store, but for the first one of a name: a program
// may make registries and metrics for ever.
func TestMetricsThatNobodyHas(t *testing.T) {
	f, set := newFactory(t, prom.Options{})
	keep := f.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"})
	keep.Set(1)
	for i := range 100 {
		r := prom.NewRegistry()
		promauto.From(f, r).NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}).Set(float64(i))
		promauto.From(f, r).NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"l"}).WithLabelValues("x").Inc()
		require.Equal(t, 2, count(t, r, "g")+count(t, r, "v_total"))
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		return len(instruments(t, set)) == 2
	}, 30*time.Second, time.Millisecond)
	require.Equal(t, 1.0, testutil.ToFloat64(keep))
}

// replaceable is a collector whose metric another one takes the place of while it is
// registered, as the resetting of a counter does in Kubernetes' component-base.
type replaceable struct{ prometheus.Counter }

// TestReplacedMetric: a registry shows what a collector has now. Another process, in which
// nothing was replaced, goes on with the first one.
// TestInADirectory runs this with the default Factory, too.
func TestReplacedMetric(t *testing.T) {
	f, dir := prom.Default(), multiproc.Default().Dir()
	if dir == "" {
		dir = t.TempDir()
		f, _ = factoryOn(t, dir, prom.Options{})
	}
	opts := prometheus.CounterOpts{Name: "x_total", Help: "h"}
	r, c := prom.NewRegistry(), &replaceable{f.NewCounter(opts)}
	r.MustRegister(c)
	c.Add(5)
	other := prom.NewRegistry()
	process, _ := factoryOn(t, dir, prom.Options{})
	promauto.From(process, other).NewCounter(opts).Add(30)
	shows := func(r *prom.Registry, value int) {
		t.Helper()
		require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(fmt.Sprintf("# HELP x_total h\n# TYPE x_total counter\nx_total %d\n", value))))
	}
	shows(r, 35)
	c.Counter = f.NewCounter(opts)
	c.Add(2)
	shows(r, 2)
	shows(other, 35)
}
