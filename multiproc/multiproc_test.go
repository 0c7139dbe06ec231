package multiproc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// sets runs a test on a Set of each backing. read returns all samples of the
// merged view, by name and labels.
func sets(t *testing.T, opts multiproc.SetOptions, test func(t *testing.T, s *multiproc.Set, read func() map[string]float64)) {
	t.Run("heap", func(t *testing.T) {
		s := multiproc.NewSet(opts)
		view := registry.Instruments(s)
		test(t, s, func() map[string]float64 { return samples(t, view) })
	})
	t.Run("file", func(t *testing.T) {
		opts.Dir = t.TempDir()
		s := multiproc.NewSet(opts)
		a, err := aggregate.Open(opts.Dir, aggregate.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { a.Close() })
		test(t, s, func() map[string]float64 {
			require.NoError(t, s.Open())
			s.Publish()
			return samples(t, a)
		})
	})
}

func samples(t *testing.T, g gather.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather(context.Background())
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for s := range f.Samples() {
			out[s.Name+s.Labels.String()] = s.Value
		}
	}
	return out
}

// pidLabel is the process label of this process.
func pidLabel() string { return fmt.Sprintf(`{pid="%d"}`, os.Getpid()) }

func TestInstruments(t *testing.T) {
	sets(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set, read func() map[string]float64) {
		counter := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c_total", Help: "C."}))
		gauge := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G."}))
		histogram := multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{1, 2}}))
		summary := multiproc.MustNew(s.NewSummary(multiproc.SummaryOpts{Name: "s", Help: "S.", Unit: "bytes"}))
		info := multiproc.MustNew(s.NewInfo(multiproc.InfoOpts{Name: "build", Help: "I."}))
		enum := multiproc.MustNew(s.NewEnum(multiproc.EnumOpts{Name: "e", Help: "E.", States: []string{"up", "down"}}))
		require.False(t, s.Opened(), "declaring does no I/O")

		got := read()
		for key, want := range map[string]float64{
			"c_total": 0, "g" + pidLabel(): 0, `h_bucket{le="1"}`: 0, "h_count": 0, "h_sum": 0, "s_bytes_count": 0, "s_bytes_sum": 0,
			"build_info": 1,
		} {
			v, ok := got[key]
			require.True(t, ok, "%s is exported from its declaration on: %v", key, got)
			require.Equal(t, want, v, key)
		}
		require.EqualValues(t, 1, got[`e{e="up",pid="`+strconv.Itoa(os.Getpid())+`"}`])

		counter.Inc()
		counter.Add(2)
		counter.Add(0.5)
		counter.Add(1 << 40)
		gauge.Set(5)
		gauge.Inc()
		gauge.Dec()
		gauge.Sub(1.5)
		for _, v := range []float64{0.5, 1, 1.5, 9} {
			histogram.Observe(v)
			summary.Observe(v)
		}
		require.NoError(t, info.Set(multiproc.Labels{"version": "1"}))
		require.NoError(t, info.Set(multiproc.Labels{"version": "2"}))
		require.NoError(t, enum.Set("down"))
		require.ErrorContains(t, enum.Set("sideways"), `unknown state "sideways"`)
		got = read()
		for key, want := range map[string]float64{
			"c_total": 3.5 + 1<<40, "g" + pidLabel(): 3.5, `h_bucket{le="1"}`: 2, `h_bucket{le="2"}`: 3, `h_bucket{le="+Inf"}`: 4,
			"h_count": 4, "h_sum": 12, "s_bytes_count": 4, "s_bytes_sum": 12, `build_info{version="2"}`: 1,
		} {
			require.Equal(t, want, got[key], key)
		}
		require.NotContains(t, got, `build_info{version="1"}`)
		require.NotContains(t, got, "build_info")
		require.EqualValues(t, 0, got[`e{e="up",pid="`+strconv.Itoa(os.Getpid())+`"}`])
		require.EqualValues(t, 1, got[`e{e="down",pid="`+strconv.Itoa(os.Getpid())+`"}`])

		counter.Reset()
		counter.Inc()
		require.EqualValues(t, 1, read()["c_total"])
	})
}

func TestInvalidUpdatesAreDroppedAndCounted(t *testing.T) {
	sets(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set, read func() map[string]float64) {
		counter := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
		recent := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "r", Help: "R.", Mode: metric.ModeMostRecent}))
		for _, v := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1), -0.5} {
			counter.Add(v)
		}
		recent.Inc()
		recent.Dec()
		recent.Add(1)
		require.False(t, s.Opened(), "a dropped update opens nothing")
		counter.Add(0)
		recent.Set(4)
		got := read()
		require.EqualValues(t, 0, got["c_total"])
		require.EqualValues(t, 4, got["r"])
		require.EqualValues(t, 8, got["multiprom_invalid_updates_total"])

		h := multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{1}}))
		zero := 0.0
		h.Observe(zero / zero * -1)
		got = read()
		require.EqualValues(t, 0, got[`h_bucket{le="1"}`])
		require.EqualValues(t, 1, got[`h_bucket{le="+Inf"}`])
		require.True(t, math.IsNaN(got["h_sum"]))

		g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G.", Mode: metric.ModeSum}))
		g.Set(math.Float64frombits(mpm.UnsetBits))
		require.True(t, math.IsNaN(read()["g"]), "the bits that say unset are stored as another NaN")
	})
}

func TestEveryGaugeMode(t *testing.T) {
	sets(t, multiproc.SetOptions{ProcessID: "w1"}, func(t *testing.T, s *multiproc.Set, read func() map[string]float64) {
		for m := metric.ModeAll; m.Valid(); m++ {
			g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g_" + m.String(), Help: "G.", Mode: m}))
			g.Set(float64(m) + 1)
		}
		got := read()
		for m := metric.ModeAll; m.Valid(); m++ {
			key := "g_" + m.String()
			if m.Base() == metric.ModeAll {
				key += `{pid="w1"}`
			}
			require.EqualValues(t, float64(m)+1, got[key], key)
		}
	})
}

func TestVec(t *testing.T) {
	sets(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set, read func() map[string]float64) {
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"a", "b"}))
		v.WithLabelValues("1", "x").Inc()
		require.Same(t, v.WithLabelValues("1", "x"), v.With(multiproc.Labels{"a": "1", "b": "x"}))
		v.WithLabelValues("1", "y").Add(2)
		v.WithLabelValues("2", "x").Add(3)
		require.NotSame(t, v.WithLabelValues("ab", "c"), v.WithLabelValues("a", "bc"))

		curried := v.MustCurryWith(multiproc.Labels{"b": "x"})
		require.Same(t, v.WithLabelValues("2", "x"), curried.WithLabelValues("2"))
		require.Same(t, v.WithLabelValues("2", "x"), curried.With(multiproc.Labels{"a": "2"}))
		_, err := curried.CurryWith(multiproc.Labels{"b": "z"})
		require.ErrorIs(t, err, form.ErrLabelValues)
		_, err = v.CurryWith(multiproc.Labels{"z": "z"})
		require.ErrorIs(t, err, form.ErrLabelValues)
		require.Panics(t, func() { v.MustCurryWith(multiproc.Labels{"z": "z"}) })

		_, err = v.GetMetricWithLabelValues("1")
		require.ErrorIs(t, err, form.ErrLabelValues)
		_, err = v.GetMetricWithLabelValues("1", "\xff")
		require.ErrorIs(t, err, form.ErrLabelValues)
		_, err = v.GetMetricWith(multiproc.Labels{"a": "1", "z": "2"})
		require.ErrorIs(t, err, form.ErrLabelValues)
		v.WithLabelValues("1", "2", "3").Add(100)
		v.With(multiproc.Labels{"a": "1"}).Add(100)
		v.WithLabelValues("bad\xff", "x").Add(7)

		got := read()
		require.EqualValues(t, 1, got[`c_total{a="1",b="x"}`])
		require.EqualValues(t, 2, got[`c_total{a="1",b="y"}`])
		require.EqualValues(t, 3, got[`c_total{a="2",b="x"}`])
		require.EqualValues(t, 7, got[`c_total{a="bad`+"\uFFFD"+`",b="x"}`])
		require.EqualValues(t, 2, got["multiprom_discarded_calls_total"])

		require.True(t, v.DeleteLabelValues("1", "x"))
		require.False(t, v.DeleteLabelValues("1", "x"))
		require.True(t, v.Delete(multiproc.Labels{"a": "1", "b": "y"}))
		require.False(t, v.Delete(multiproc.Labels{"a": "1"}))
		got = read()
		require.NotContains(t, got, `c_total{a="1",b="x"}`)
		require.NotContains(t, got, `c_total{a="1",b="y"}`)
		v.WithLabelValues("1", "x").Inc()
		require.EqualValues(t, 1, read()[`c_total{a="1",b="x"}`], "a removed series begins at 0")
		require.Equal(t, 3, curried.DeletePartialMatch(nil), "a view sees its own part only: 1, 2 and bad")
		require.Equal(t, 0, v.DeletePartialMatch(multiproc.Labels{"z": "1"}))
		require.Equal(t, 1, v.DeletePartialMatch(multiproc.Labels{"a": "ab"}))
		v.Reset()
		for key := range read() {
			require.False(t, strings.HasPrefix(key, "c_total"), key)
		}
	})
}

// TestLabelsAreCopied: fasthttp reuses the bytes of its strings.
func TestLabelsAreCopied(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"a"}))
	b := []byte("GET")
	v.WithLabelValues(unsafeString(b)).Inc()
	copy(b, "PUT")
	require.EqualValues(t, 1, samples(t, registry.Instruments(s))[`c_total{a="GET"}`])
	require.NotSame(t, v.WithLabelValues("GET"), v.WithLabelValues(unsafeString(b)))
}

func TestOverflow(t *testing.T) {
	sets(t, multiproc.SetOptions{MaxSeries: 3}, func(t *testing.T, s *multiproc.Set, read func() map[string]float64) {
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"a", "b"}))
		for i := range 10 {
			v.WithLabelValues(strconv.Itoa(i), "x").Inc()
		}
		v.WithLabelValues(strings.Repeat("x", form.MaxLabelValueLen+1), "x").Inc()
		got := read()
		require.EqualValues(t, 8, got[`c_total{a="__overflow__",b="__overflow__"}`])
		require.EqualValues(t, 1, got[`c_total{a="2",b="x"}`])
		require.EqualValues(t, 8, got["multiprom_overflow_series_total"])
		v.DeleteLabelValues("0", "x")
		v.WithLabelValues("new", "x").Inc()
		require.EqualValues(t, 1, read()[`c_total{a="new",b="x"}`], "a removal makes room")
	})
}

func TestSchemas(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	counter := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Namespace: "a", Subsystem: "b", Name: "c_total", Help: "H."}))
	again, err := s.NewCounter(multiproc.CounterOpts{Name: "a_b_c", Help: "H."})
	require.NoError(t, err)
	require.Same(t, counter, again, "an equal schema is the same instrument")
	multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "size", Unit: "bytes", Help: "H."}))
	multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "other_bytes", Unit: "bytes", Help: "H."}))
	multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H."}))
	multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "dc", Help: "H.", ConstLabels: multiproc.Labels{"x": "1"}}))
	multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "dc", Help: "H.", ConstLabels: multiproc.Labels{"x": "2"}}))
	multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "my.metric ü", Help: "UTF-8."}))
	for what, tc := range map[string]struct {
		err  error
		want error
	}{
		"another help":     {second(s.NewCounter(multiproc.CounterOpts{Name: "a_b_c", Help: "Other."})), multiproc.ErrConflict},
		"another type":     {second(s.NewGauge(multiproc.GaugeOpts{Name: "a_b_c", Help: "H."})), multiproc.ErrConflict},
		"a vec":            {second(s.NewCounterVec(multiproc.CounterOpts{Name: "a_b_c", Help: "H."}, []string{"l"})), multiproc.ErrConflict},
		"derived name":     {second(s.NewGauge(multiproc.GaugeOpts{Name: "a_b_c_total", Help: "H."})), multiproc.ErrConflict},
		"bucket":           {second(s.NewGauge(multiproc.GaugeOpts{Name: "h_bucket", Help: "H."})), multiproc.ErrConflict},
		"const label name": {second(s.NewCounter(multiproc.CounterOpts{Name: "dc", Help: "H.", ConstLabels: multiproc.Labels{"y": "1"}})), multiproc.ErrConflict},
		"no help":          {second(s.NewCounter(multiproc.CounterOpts{Name: "x"})), form.ErrSchema},
		"no name":          {second(s.NewCounter(multiproc.CounterOpts{Namespace: "x", Help: "H."})), form.ErrName},
		"bad name":         {second(s.NewCounter(multiproc.CounterOpts{Name: "\xff", Help: "H."})), form.ErrName},
		"le":               {second(s.NewHistogramVec(multiproc.HistogramOpts{Name: "x", Help: "H."}, []string{"le"})), form.ErrReserved},
		"quantile":         {second(s.NewSummaryVec(multiproc.SummaryOpts{Name: "x", Help: "H."}, []string{"quantile"})), form.ErrReserved},
		"own name":         {second(s.NewEnumVec(multiproc.EnumOpts{Name: "x", Help: "H.", States: []string{"a"}}, []string{"x"})), form.ErrReserved},
		"underscores":      {second(s.NewGaugeVec(multiproc.GaugeOpts{Name: "x", Help: "H."}, []string{"__x"})), form.ErrReserved},
		"label twice":      {second(s.NewGaugeVec(multiproc.GaugeOpts{Name: "x", Help: "H."}, []string{"a", "a"})), form.ErrLabel},
		"info unit":        {second(s.NewInfo(multiproc.InfoOpts{Name: "x", Help: "H.", Unit: "bytes"})), form.ErrSchema},
		"unsorted":         {second(s.NewHistogram(multiproc.HistogramOpts{Name: "x", Help: "H.", Buckets: []float64{2, 1}})), form.ErrSchema},
		"no buckets":       {second(s.NewHistogram(multiproc.HistogramOpts{Name: "x", Help: "H.", Buckets: []float64{}})), form.ErrSchema},
		"no states":        {second(s.NewEnum(multiproc.EnumOpts{Name: "x", Help: "H."})), form.ErrSchema},
	} {
		require.ErrorIs(t, tc.err, tc.want, what)
	}
	require.ErrorContains(t, second(s.NewGauge(multiproc.GaugeOpts{Name: "a_b_c_total", Help: "H."})), `counter "a_b_c"`)
	require.Panics(t, func() { multiproc.NewCounter(multiproc.CounterOpts{Name: "x"}) })

	got := samples(t, registry.Instruments(s))
	require.Contains(t, got, "size_bytes"+pidLabel())
	require.Contains(t, got, "other_bytes"+pidLabel())
	require.Contains(t, got, `dc_total{x="1"}`)
	require.Contains(t, got, `dc_total{x="2"}`)
	require.Contains(t, got, "my.metric ü"+pidLabel())
}

func second[T any](_ T, err error) error { return err }

func TestBuckets(t *testing.T) {
	require.Equal(t, []float64{1, 3, 5}, multiproc.LinearBuckets(1, 2, 3))
	require.Equal(t, []float64{1, 2, 4}, multiproc.ExponentialBuckets(1, 2, 3))
	require.Panics(t, func() { multiproc.LinearBuckets(1, 2, 0) })
	require.Panics(t, func() { multiproc.ExponentialBuckets(0, 2, 3) })
	require.Equal(t, []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}, multiproc.DefBuckets)
}

func TestInfoKeys(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	v := multiproc.MustNew(s.NewInfoVec(multiproc.InfoOpts{Name: "i_info", Help: "I.", ConstLabels: multiproc.Labels{"c": "1"}}, []string{"l"}))
	i := v.WithLabelValues("x")
	require.ErrorIs(t, i.Set(multiproc.Labels{"l": "1"}), form.ErrLabelValues)
	require.ErrorIs(t, i.Set(multiproc.Labels{"c": "1"}), form.ErrLabelValues)
	require.ErrorIs(t, i.Set(multiproc.Labels{"__x": "1"}), form.ErrReserved)
	require.NoError(t, i.Set(multiproc.Labels{"version": "1"}))
	require.Contains(t, samples(t, registry.Instruments(s)), `i_info{c="1",l="x",version="1"}`)
	v.DeleteLabelValues("x")
	require.NoError(t, i.Set(multiproc.Labels{"version": "2"}))
	require.NotContains(t, samples(t, registry.Instruments(s)), `i_info{c="1",l="x",version="2"}`)
}

var errSentinel = errors.New("sentinel")

func TestCountErrors(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	count := func() float64 { return samples(t, registry.Instruments(s))["c_total"] }
	fail := func(err error) func() error { return func() error { return err } }
	require.NoError(t, c.CountErrors(fail(nil)))
	require.EqualValues(t, 0, count())
	require.ErrorIs(t, c.CountErrors(fail(errSentinel)), errSentinel)
	require.EqualValues(t, 1, count(), "no matcher means all")
	c.CountErrors(fail(io()), multiproc.CountErrorsIs(errSentinel))
	require.EqualValues(t, 1, count())
	c.CountErrors(fail(fmt.Errorf("wrapped: %w", errSentinel)), multiproc.CountErrorsIs(errSentinel))
	require.EqualValues(t, 2, count())
	c.CountErrors(fail(io()), multiproc.CountErrorsAs[*fs.PathError](), multiproc.CountErrorsIs(errSentinel))
	require.EqualValues(t, 3, count())
	require.PanicsWithValue(t, "boom", func() { c.CountErrors(func() error { panic("boom") }) })
	require.EqualValues(t, 4, count(), "a panic is counted and goes on")
}

func io() error { return &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist} }

func TestTimersAndTracking(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G.", Mode: metric.ModeLiveSum}))
	h := multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H."}))
	last := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "last", Help: "L.", Mode: metric.ModeMax}))
	view := registry.Instruments(s)
	done := g.TrackInProgress()
	require.EqualValues(t, 1, samples(t, view)["g"])
	done()
	require.EqualValues(t, 0, samples(t, view)["g"])
	require.GreaterOrEqual(t, multiproc.NewTimer(h).ObserveDuration(), time.Duration(0))
	require.EqualValues(t, 1, samples(t, view)["h_count"])
	d := last.Timer().ObserveDuration()
	require.Equal(t, d.Seconds(), samples(t, view)["last"])
	last.SetToCurrentTime()
	require.InDelta(t, float64(time.Now().Unix()), samples(t, view)["last"], 60)
}

func TestGaugeFunc(t *testing.T) {
	sets(t, multiproc.SetOptions{PublishPeriod: time.Millisecond}, func(t *testing.T, s *multiproc.Set, read func() map[string]float64) {
		var mu sync.Mutex
		value := 1.0
		other := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "calls", Help: "Calls."}))
		multiproc.MustNew(s.NewGaugeFunc(multiproc.GaugeOpts{Name: "f", Help: "F.", Mode: metric.ModeSum}, func() float64 {
			other.Inc() // a function may update other instruments, also the first time
			mu.Lock()
			defer mu.Unlock()
			if value < 0 {
				panic("no value")
			}
			return value
		}))
		require.EqualValues(t, 1, read()["f"])
		mu.Lock()
		value = 7
		mu.Unlock()
		require.EqualValues(t, 7, read()["f"], "evaluated when this process is read")
		mu.Lock()
		value = -1
		mu.Unlock()
		got := read()
		require.EqualValues(t, 7, got["f"], "a panicking function keeps its value")
		require.NotZero(t, got["multiprom_invalid_updates_total"])
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
	})
}

// TestGaugeFuncIsPublished reads the directory as another process would.
func TestGaugeFuncIsPublished(t *testing.T) {
	dir := t.TempDir()
	s := multiproc.NewSet(multiproc.SetOptions{Dir: dir, PublishPeriod: time.Millisecond})
	multiproc.MustNew(s.NewGaugeFunc(multiproc.GaugeOpts{Name: "f", Help: "F.", Mode: metric.ModeSum}, func() float64 { return 9 }))
	require.NoError(t, s.Open())
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	defer a.Close()
	require.Eventually(t, func() bool { return samples(t, a)["f"] == 9 }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
}

// TestConcurrentUse lets everything happen at once: under -race it shows that
// nothing is shared without order.
func TestConcurrentUse(t *testing.T) {
	sets(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set, read func() map[string]float64) {
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		h := multiproc.MustNew(s.NewHistogramVec(multiproc.HistogramOpts{Name: "h", Help: "H."}, []string{"l"}))
		r := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "r", Help: "R.", Mode: metric.ModeMostRecent}))
		var wg sync.WaitGroup
		const goroutines, rounds = 4, 2000
		for g := range goroutines {
			wg.Go(func() {
				for i := range rounds {
					v.WithLabelValues(strconv.Itoa(i % 100)).Inc()
					h.WithLabelValues(strconv.Itoa(i % 10)).Observe(float64(i))
					r.Set(float64(i))
					if g == 0 && i%100 == 0 {
						v.DeleteLabelValues("churn")
						runtime.GC()
					}
					v.WithLabelValues("churn").Inc()
					if g == 1 && i%100 == 0 {
						read()
					}
				}
			})
		}
		wg.Wait()
		got := read()
		total := 0.0
		for key, value := range got {
			if strings.HasPrefix(key, "c_total") && !strings.Contains(key, "churn") {
				total += value
			}
		}
		require.EqualValues(t, goroutines*rounds, total)
		require.EqualValues(t, goroutines*rounds/10, got[`h_count{l="3"}`])
	})
}

// TestRemovedSeriesAreReused: churn does not grow the file for ever.
func TestRemovedSeriesAreReused(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir(), KeepRemoved: metric.KeepNone})
	v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	const churn = 20_000
	for i := range churn {
		v.WithLabelValues(strconv.Itoa(i)).Inc()
		v.DeleteLabelValues(strconv.Itoa(i))
		if i%500 == 0 {
			runtime.GC()
		}
	}
	info, err := os.Stat(access.Store(s).Path())
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(churn*64/2))
}

func TestUpdatesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	sets(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set, _ func() map[string]float64) {
		c := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"a", "b"}))
		g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G."}))
		r := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "r", Help: "R.", Mode: metric.ModeMostRecent}))
		h := multiproc.MustNew(s.NewHistogramVec(multiproc.HistogramOpts{Name: "h", Help: "H."}, []string{"a"}))
		m := multiproc.MustNew(s.NewSummary(multiproc.SummaryOpts{Name: "s", Help: "S."}))
		e := multiproc.MustNew(s.NewEnum(multiproc.EnumOpts{Name: "e", Help: "E.", States: []string{"a", "b"}}))
		require.Zero(t, testing.AllocsPerRun(100, func() {
			c.WithLabelValues("x", "y").Inc()
			c.WithLabelValues("x", "y").Add(0.5)
			c.WithLabelValues("x", "y").Add(-1)
			g.Set(1)
			g.Add(1)
			r.Set(1)
			h.WithLabelValues("x").Observe(0.3)
			m.Observe(1)
			e.Set("b")
		}))
	})
}
