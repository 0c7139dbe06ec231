package multiproc_test

import (
	"context"
	"math"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// families is what a reader of the Set's directory has.
func families(t *testing.T, dir string) map[string]*metric.Family {
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	fs, err := a.Gather(context.Background())
	require.NoError(t, err)
	out := map[string]*metric.Family{}
	for _, f := range fs {
		out[f.Name] = f
	}
	return out
}

// TestSeparate: instruments of their own, of one name with other labels and buckets.
func TestSeparate(t *testing.T) {
	dir := t.TempDir()
	s := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	defer s.Close()
	opts := multiproc.CounterOpts{Name: "x", Help: "H.", Separate: true}
	multiproc.MustNew(s.NewCounter(opts)).Add(1)
	_, err := s.NewCounter(opts)
	require.ErrorIs(t, err, multiproc.ErrConflict, "an equal one")
	shared := opts
	shared.Separate = false
	_, err = s.NewCounterVec(shared, []string{"z"})
	require.ErrorIs(t, err, multiproc.ErrConflict, "one that is not separate")
	other := opts
	other.Help = "I."
	_, err = s.NewCounterVec(other, []string{"z"})
	require.ErrorIs(t, err, multiproc.ErrConflict, "another help")
	for i, labels := range [][]string{{"a"}, {"a", "b"}, {"c"}} {
		multiproc.MustNew(s.NewCounterVec(opts, labels)).WithLabelValues(make([]string, len(labels))...).Add(float64(i + 2))
	}
	_, err = s.NewCounterVec(opts, []string{"b", "a"})
	require.ErrorIs(t, err, multiproc.ErrConflict, "the same labels")
	for _, bounds := range [][]float64{{1}, {2, 3}, {math.Inf(1)}} {
		multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{
			Name: "h", Help: "H.", Buckets: bounds, Separate: true, ConstLabels: multiproc.Labels{"n": string(rune('a' + len(bounds) + int(min(bounds[0], 9))))},
		})).Observe(2.5)
	}
	got := families(t, dir)
	sum := 0.0
	for _, series := range got["x"].Series {
		sum += series.Value
	}
	require.Len(t, got["x"].Series, 4)
	require.Equal(t, 10.0, sum)
	require.Len(t, got["h"].Series, 3)
}

// TestOnlyInf is a histogram without a finite bound.
func TestOnlyInf(t *testing.T) {
	dir := t.TempDir()
	s := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	defer s.Close()
	v := multiproc.MustNew(s.NewHistogramVec(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{math.Inf(1)}}, []string{"l"}))
	for _, x := range []float64{-1, 0, 3, math.Inf(1), math.NaN()} {
		v.WithLabelValues("x").Observe(x)
	}
	series := families(t, dir)["h"].Series
	require.Len(t, series, 1)
	require.Equal(t, []metric.Bucket{{UpperBound: math.Inf(1), Count: 5}}, series[0].Buckets)
}

// TestRemove takes an instrument of each kind out of the merged view. Another one may
// have its name, and begins at 0; updates of the first go nowhere.
func TestRemove(t *testing.T) {
	for what, make := range map[string]func(s *multiproc.Set, name string) (instrument any, update func()){
		"counter": func(s *multiproc.Set, name string) (any, func()) {
			c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: name, Help: "H."}))
			return c, c.Inc
		},
		"counter vec": func(s *multiproc.Set, name string) (any, func()) {
			v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: name, Help: "H."}, []string{"l"}))
			return v, func() { v.WithLabelValues("x").Inc() }
		},
		"gauge": func(s *multiproc.Set, name string) (any, func()) {
			g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: name, Help: "H.", Mode: metric.ModeLiveSum}))
			return g, g.Inc
		},
		"gauge function": func(s *multiproc.Set, name string) (any, func()) {
			return multiproc.MustNew(s.NewGaugeFunc(multiproc.GaugeOpts{Name: name, Help: "H.", Mode: metric.ModeLiveSum}, func() float64 { return 1 })), s.Publish
		},
		"counter function": func(s *multiproc.Set, name string) (any, func()) {
			return multiproc.MustNew(s.NewCounterFunc(multiproc.CounterOpts{Name: name, Help: "H."}, func() float64 { return 1 })), s.Publish
		},
		"histogram": func(s *multiproc.Set, name string) (any, func()) {
			h := multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: name, Help: "H."}))
			return h, func() { h.Observe(1) }
		},
		"summary": func(s *multiproc.Set, name string) (any, func()) {
			m := multiproc.MustNew(s.NewSummary(multiproc.SummaryOpts{Name: name, Help: "H."}))
			return m, func() { m.Observe(1) }
		},
		"info": func(s *multiproc.Set, name string) (any, func()) {
			i := multiproc.MustNew(s.NewInfo(multiproc.InfoOpts{Name: name, Help: "H."}))
			return i, func() { _ = i.Set(multiproc.Labels{"a": "b"}) }
		},
		"enum": func(s *multiproc.Set, name string) (any, func()) {
			e := multiproc.MustNew(s.NewEnum(multiproc.EnumOpts{Name: name, Help: "H.", States: []string{"a", "b"}}))
			return e, func() { _ = e.Set("b") }
		},
	} {
		for _, opened := range []bool{false, true} {
			dir := t.TempDir()
			s := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
			if opened {
				require.NoError(t, s.Open())
			}
			first, update := make(s, "x")
			if opened {
				update()
				require.Contains(t, families(t, dir), "x", what)
			}
			require.True(t, s.Remove(first), what)
			require.False(t, s.Remove(first), what)
			require.NoError(t, s.Open())
			update()
			require.NotContains(t, families(t, dir), "x", what)
			for range 100 { // and the file does not grow by it
				again, update := make(s, "x")
				update()
				require.Len(t, families(t, dir)["x"].Series, 1, what)
				require.True(t, s.Remove(again), what)
			}
			_, err := s.NewGauge(multiproc.GaugeOpts{Name: "x", Help: "Another one."})
			require.NoError(t, err, what)
			require.NoError(t, s.Close())
		}
	}
	require.False(t, multiproc.NewSet(multiproc.SetOptions{}).Remove(new(multiproc.Counter)))
}

// TestReset begins again with all instruments.
func TestReset(t *testing.T) {
	dir := t.TempDir()
	s := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	defer s.Close()
	c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "H."}))
	g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "H.", Mode: metric.ModeMostRecent}))
	h := multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H."}))
	v := multiproc.MustNew(s.NewSummaryVec(multiproc.SummaryOpts{Name: "v", Help: "H."}, []string{"l"}))
	for range 2 {
		c.Add(2.5)
		g.Set(2)
		h.Observe(2)
		v.WithLabelValues("x").Observe(2)
		got := families(t, dir)
		require.Equal(t, 2.5, got["c"].Series[0].Value)
		require.Equal(t, 2.0, got["g"].Series[0].Value)
		require.EqualValues(t, 1, got["h"].Series[0].Count)
		require.EqualValues(t, 1, got["v"].Series[0].Count)
		s.Reset()
		got = families(t, dir)
		require.Zero(t, got["c"].Series[0].Value)
		require.Zero(t, got["h"].Series[0].Count)
		require.NotContains(t, got, "v")
	}
}

// TestCounterFunc grows by what its function's value grows by.
func TestCounterFunc(t *testing.T) {
	dir := t.TempDir()
	s := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	defer s.Close()
	var says atomic.Value // the Set's goroutine asks too
	says.Store(3.0)
	multiproc.MustNew(s.NewCounterFunc(multiproc.CounterOpts{Name: "c", Help: "H."}, func() float64 {
		v := says.Load().(float64)
		if v == 13 {
			panic("as it were")
		}
		return v
	}))
	require.NoError(t, s.Open())
	for _, step := range []struct{ says, want float64 }{{3, 3}, {5.5, 5.5}, {5.5, 5.5}, {2, 7.5}, {13, 7.5}, {math.NaN(), 7.5}, {-1, 7.5}, {math.Inf(1), 7.5}, {3, 8.5}} {
		says.Store(step.says)
		s.Publish()
		require.Equal(t, step.want, families(t, dir)["c"].Series[0].Value)
	}
	_, err := s.NewCounterFunc(multiproc.CounterOpts{Name: "d", Help: "H."}, nil)
	require.ErrorIs(t, err, form.ErrSchema)
}
