package multiproc_test

import (
	"math"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

func TestValues(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	defer set.Close()
	c := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "c", Help: "h"}))
	g := multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "h"}))
	r := multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{Name: "r", Help: "h", Mode: metric.ModeMostRecent}))
	h := multiproc.MustNew(set.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}}))
	s := multiproc.MustNew(set.NewSummary(multiproc.SummaryOpts{Name: "s", Help: "h"}))

	want := func(counter, gauge, recent, sum float64, counts ...uint64) {
		t.Helper()
		require.Equal(t, counter, c.Value())
		require.Equal(t, gauge, g.Value())
		require.Equal(t, recent, r.Value())
		buckets, hsum := h.Values()
		require.Equal(t, sum, hsum)
		require.Equal(t, metric.Cumulate([]float64{1, 2}, counts), buckets)
		n, ssum := s.Values()
		require.Equal(t, buckets[2].Count, n)
		require.Equal(t, sum, ssum)
	}
	want(0, 0, 0, 0, 0, 0, 0)
	require.False(t, set.Opened(), "reading opens no store")
	require.NoError(t, set.Open())
	want(0, 0, 0, 0, 0, 0, 0) // a gauge that nobody has set

	c.Inc()
	c.Add(2.5)
	g.Set(-3)
	r.Set(7)
	for _, v := range []float64{1, 1.5, 40} {
		h.Observe(v)
		s.Observe(v)
	}
	want(3.5, -3, 7, 42.5, 1, 1, 1)
	g.Set(math.NaN())
	require.True(t, math.IsNaN(g.Value()))
}

// TestFirstUpdates: an update counts the same whether it is the one that opens
// the store or a later one; one that is dropped opens none.
func TestFirstUpdates(t *testing.T) {
	values := []float64{0, 1, 1.5, 1<<32 - 1, 1 << 32, 1 << 63, math.MaxFloat64, 0x1p-1074, math.Copysign(0, -1), -1, -1.5, math.NaN(), math.Inf(1), math.Inf(-1)}
	for _, v := range values {
		t.Run(strconv.FormatFloat(v, 'g', -1, 64), func(t *testing.T) {
			newSet := func() *multiproc.Set {
				s := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
				t.Cleanup(func() { s.Close() })
				return s
			}
			s := newSet()
			c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
			g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G."}))
			added := v >= 0 && !math.IsInf(v, 0)
			for range 2 {
				before := c.Value()
				c.Add(v)
				require.Equal(t, added, s.Opened())
				want := before
				if sum := before + v; added && !math.IsInf(sum, 0) {
					want = sum
				}
				require.Equal(t, want, c.Value())
			}
			sum := 0.0
			for range 2 {
				g.Add(v)
				sum += v
				requireSameFloat(t, sum, g.Value())
			}
			require.True(t, s.Opened())
			s = newSet()
			g = multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G."}))
			for range 2 {
				g.Set(v)
				requireSameFloat(t, v, g.Value())
			}
		})
	}
}

func requireSameFloat(t *testing.T, want, got float64) {
	t.Helper()
	require.True(t, want == got || want != want && got != got, "%v, not %v", got, want)
}

// TestNoNegativeZero: what was never set counts as 0, to which -0 adds nothing.
func TestNoNegativeZero(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	v := multiproc.MustNew(set.NewGaugeVec(multiproc.GaugeOpts{Name: "g", Help: "h"}, []string{"by"}))
	for by, update := range map[string]func(*multiproc.Gauge){
		"Sub": func(g *multiproc.Gauge) { g.Sub(0) },
		"Add": func(g *multiproc.Gauge) { g.Add(math.Copysign(0, -1)) },
	} {
		g := v.WithLabelValues(by)
		update(g)
		require.False(t, math.Signbit(g.Value()), by)
		g.Set(math.Copysign(0, -1))
		require.True(t, math.Signbit(g.Value()), "as client_golang has it")
	}
}

// TestValueOfARemovedSeries reads a handle that somebody still holds: its
// words are its own until it is unreachable.
func TestValueOfARemovedSeries(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	v := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "h"}, []string{"l"}))
	held := v.WithLabelValues("x")
	held.Add(5)
	require.True(t, v.DeleteLabelValues("x"))
	v.WithLabelValues("x").Inc()
	require.Equal(t, 5.0, held.Value())
	require.Equal(t, 1.0, v.WithLabelValues("x").Value())
}

// TestUnlabelled: a counter that nothing can remove, once it has its words.
func TestUnlabelled(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	defer set.Close()
	c := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "c", Help: "h"}))
	_, ok := access.Unlabelled(c)
	require.False(t, ok)
	require.False(t, set.Opened(), "asking opens no store")
	require.NoError(t, set.Open())
	u, ok := access.Unlabelled(c)
	require.True(t, ok)
	u.Inc()
	c.Inc()
	require.EqualValues(t, 2, c.Value())
	_, ok = access.Unlabelled(multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "v", Help: "h"}, nil)).WithLabelValues())
	require.False(t, ok, "a Vec without labels can remove it")
}

// TestBound: a counter has its words once the store is open. While its BoundCounter is
// held, they are no other series', though it was removed.
func TestBound(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir(), KeepRemoved: metric.KeepNone})
	defer set.Close()
	vec := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "h"}, []string{"l"}))
	_, ok := access.Bound(vec.WithLabelValues("a"))
	require.False(t, ok)
	require.False(t, set.Opened(), "asking opens no store")
	require.NoError(t, set.Open())
	bound, ok := access.Bound(vec.WithLabelValues("a"))
	require.True(t, ok)
	_, ok = access.Unlabelled(vec.WithLabelValues("a"))
	require.False(t, ok, "it can be removed")
	bound.Inc()
	bound.Inc()
	require.EqualValues(t, 2, vec.WithLabelValues("a").Value())

	require.True(t, vec.DeleteLabelValues("a"))
	for range 3 {
		runtime.GC() // would give the words back, if nobody held them
	}
	others := []*multiproc.Counter{vec.WithLabelValues("a"), vec.WithLabelValues("b"), vec.WithLabelValues("c")}
	bound.Inc()
	for _, c := range others {
		require.Zero(t, c.Value())
	}
}
