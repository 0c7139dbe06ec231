package prom_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// directory is what any other process sees of the directory, or of the heap.
func directory(t *testing.T, set *multiproc.Set) prometheus.Gatherer {
	if set.Dir() == "" {
		return convert.ToPrometheus(registry.Instruments(set))
	}
	a, err := aggregate.Open(set.Dir(), aggregate.Options{})
	require.NoError(t, err)
	return convert.ToPrometheus(a)
}

// viewOf is what mpctl serve has of a directory.
func viewOf(t *testing.T, dir string) prometheus.Gatherer {
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	return convert.ToPrometheus(a)
}

func count(t *testing.T, g prometheus.Gatherer, name string) int {
	t.Helper()
	n, err := testutil.GatherAndCount(g, name)
	require.NoError(t, err)
	return n
}

// TestDeletionReachesTheStore at the period, without anything else being asked.
func TestDeletionReachesTheStore(t *testing.T) {
	f, set := newFactory(t, prom.Options{Period: time.Millisecond})
	v := f.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, []string{"a", "b"})
	plain := f.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil)
	view := directory(t, set)
	for i := range 6 {
		v.WithLabelValues(fmt.Sprint(i%2), fmt.Sprint(i)).Set(1)
	}
	plain.WithLabelValues().Inc()
	require.Equal(t, 6, count(t, view, "g"))
	v.DeleteLabelValues("0", "0")
	v.MustCurryWith(prometheus.Labels{"a": "1"}).DeleteLabelValues("1")
	require.Eventually(t, func() bool { return count(t, view, "g") == 4 }, 30*time.Second, time.Millisecond)
	v.DeletePartialMatch(prometheus.Labels{"a": "0"})
	require.Eventually(t, func() bool { return count(t, view, "g") == 2 }, 30*time.Second, time.Millisecond)
	require.Equal(t, 1, count(t, view, "c_total"))
	v.Reset()
	plain.Reset()
	require.Eventually(t, func() bool { return count(t, view, "g")+count(t, view, "c_total") == 0 }, 30*time.Second, time.Millisecond)
}

// TestDeletedAndMadeAgain begins at 0 at once, and what is still held of the
// deleted one goes nowhere once the store is reconciled.
func TestDeletedAndMadeAgain(t *testing.T) {
	f, set := newFactory(t, prom.Options{Period: time.Hour})
	v := f.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"l"})
	view := directory(t, set)
	held := v.WithLabelValues("x")
	held.Add(5)
	require.True(t, v.DeleteLabelValues("x"))
	require.Equal(t, 1, count(t, view, "c_total"), "not reconciled yet")
	v.WithLabelValues("x").Inc()
	held.Inc()
	want := "# HELP c_total h\n# TYPE c_total counter\nc_total{l=\"x\"} 1\n"
	require.NoError(t, testutil.GatherAndCompare(view, strings.NewReader(want), "c_total"))
	f.Reconcile() // leaves the new one alone
	require.NoError(t, testutil.GatherAndCompare(view, strings.NewReader(want), "c_total"))
	require.Equal(t, 6.0, testutil.ToFloat64(held))
}

// TestCloseReconciles, for a process that deletes and ends: its file stays.
func TestCloseReconciles(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	f := prom.New(set, prom.Options{Period: time.Hour})
	v := f.NewSummaryVec(prometheus.SummaryOpts{Name: "s", Help: "h"}, []string{"l"})
	v.WithLabelValues("x").Observe(1)
	v.WithLabelValues("y").Observe(1)
	v.DeleteLabelValues("x")
	f.Close()
	f.Close()
	require.NoError(t, set.Close())
	require.Equal(t, 1, count(t, directory(t, set), "s"))
}

// TestReconcilingWhileSeriesAreMade takes none of them for deleted.
func TestReconcilingWhileSeriesAreMade(t *testing.T) {
	f, set := newFactory(t, prom.Options{Period: time.Hour})
	v := f.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, []string{"l"})
	made := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(made)
		for i := range 3000 {
			v.WithLabelValues(fmt.Sprint(i)).Set(1)
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-made:
				return
			default:
				f.Reconcile()
			}
		}
	})
	wg.Wait()
	require.Equal(t, 3000, count(t, directory(t, set), "g"))
}

// TestConcurrentDeletion looks up, updates, deletes and reconciles at once. In
// the end the store has what the Vec has, with the same values.
func TestConcurrentDeletion(t *testing.T) {
	f, set := newFactory(t, prom.Options{Period: time.Millisecond})
	v := f.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"l"})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				name := fmt.Sprint((i * (g + 1)) % 17)
				v.WithLabelValues(name).Inc()
				if i%5 == g {
					v.DeleteLabelValues(name)
				}
				if i%500 == 0 {
					f.Reconcile()
				}
			}
		})
	}
	wg.Wait()
	v.WithLabelValues("last").Add(3)
	f.Reconcile()
	own := prometheus.NewPedanticRegistry()
	own.MustRegister(v)
	want, err := own.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, want)
	equal(t, want, instruments(t, set), "after all")
}

// TestDeletedByOneOfFour: what one process deletes stays until no living process has it.
func TestDeletedByOneOfFour(t *testing.T) {
	dir := t.TempDir()
	var registries []*prom.Registry
	var vecs []*prometheus.CounterVec
	for _, n := range []float64{1, 2, 30, 1} {
		f, _ := factoryOn(t, dir, prom.Options{Period: time.Hour})
		r := prom.NewRegistry()
		v := f.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"l"})
		r.MustRegister(v)
		v.WithLabelValues("x").Add(n)
		registries, vecs = append(registries, r), append(vecs, v)
	}
	want := strings.NewReader("# HELP c_total h\n# TYPE c_total counter\nc_total{l=\"x\"} 34\n")
	vecs[2].DeleteLabelValues("x")
	require.NoError(t, testutil.GatherAndCompare(registries[2], want))
	for _, v := range vecs {
		v.Reset()
	}
	for _, r := range registries {
		_, err := r.Gather() // each process takes its own out
		require.NoError(t, err)
	}
	require.Zero(t, count(t, registries[0], "c_total"))
}
