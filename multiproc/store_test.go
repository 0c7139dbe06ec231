package multiproc_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// These tests read the store itself, as another process would: what they show
// holds without any of the packages that merge.

// backings runs a test on a Set of each backing.
func backings(t *testing.T, opts multiproc.SetOptions, test func(t *testing.T, s *multiproc.Set)) {
	t.Run("heap", func(t *testing.T) { test(t, multiproc.NewSet(opts)) })
	t.Run("file", func(t *testing.T) {
		opts.Dir = t.TempDir()
		test(t, multiproc.NewSet(opts))
	})
}

// stored returns the words of every live series by family and labels: from the
// file, if there is one.
func stored(t *testing.T, s *multiproc.Set) (map[string][]uint64, *mpm.Reader) {
	t.Helper()
	store := access.Store(s)
	r := store.Reader(nil)
	if store.Path() != "" {
		var err error
		r, err = mpm.Open(store.Path(), mpm.ReadOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
	}
	require.NoError(t, r.Refresh())
	_, damaged := r.Damaged()
	require.Zero(t, damaged)
	out := map[string][]uint64{}
	for _, series := range r.Series() {
		live := series.Words()
		words := make([]uint64, len(live))
		for i := range words {
			words[i] = atomic.LoadUint64(&live[i])
		}
		key := series.Schema.Name + series.Labels().String()
		require.NotContains(t, out, key, "one label set, one series")
		out[key] = words
	}
	return out, r
}

func bits(v float64) uint64 { return math.Float64bits(v) }

func TestWhatTheFileHolds(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c_total", Help: "C."}))
		g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G."}))
		multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "unset", Help: "U."}))
		h := multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{-1, 1, math.Inf(1)}}))
		m := multiproc.MustNew(s.NewSummary(multiproc.SummaryOpts{Name: "m", Help: "M."}))
		e := multiproc.MustNew(s.NewEnum(multiproc.EnumOpts{Name: "e", Help: "E.", States: []string{"a", "b"}}))
		i := multiproc.MustNew(s.NewInfo(multiproc.InfoOpts{Name: "i", Help: "I."}))
		require.NoError(t, s.Open())
		got, r := stored(t, s)
		require.Equal(t, map[string][]uint64{
			"c": {0, 0}, "g": {mpm.UnsetBits}, "unset": {mpm.UnsetBits}, "h": {0, 0, 0, 0}, "m": {0, 0}, "e": {0}, "i": {},
		}, got, "all that is declared, as zeros")
		var order []string
		for _, f := range r.Schemas() {
			order = append(order, f.Name)
		}
		require.Equal(t, []string{"c", "g", "unset", "h", "m", "e", "i"}, order, "in the order of declaration")

		c.Inc()
		c.Add(1<<32 - 1) // whole and below 2^32: the integers
		c.Add(1 << 32)   // not below: the fractions
		c.Add(0.5)
		g.Add(-2) // an unset gauge counts as 0
		h.Observe(-2)
		h.Observe(0)
		h.Observe(1)
		h.Observe(1.5)
		m.Observe(2)
		m.Observe(3)
		require.NoError(t, e.Set("b"))
		require.NoError(t, i.Set(multiproc.Labels{"version": "1"}))
		multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "late", Help: "L."}))
		got, _ = stored(t, s)
		require.Equal(t, map[string][]uint64{
			"c": {1 << 32, bits(1<<32 + 0.5)}, "g": {bits(-2)}, "unset": {mpm.UnsetBits},
			"h": {bits(0.5), 1, 2, 1}, "m": {2, bits(5)}, "e": {1}, `i{version="1"}`: {}, "late": {0, 0},
		}, got, "what is declared later is there at once")
	})
}

func TestCounterResetHasANewCreatedTime(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	backings(t, multiproc.SetOptions{Now: func() time.Time { return now }}, func(t *testing.T, s *multiproc.Set) {
		c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
		c.Add(1.5)
		now = now.Add(time.Hour)
		c.Reset()
		got, r := stored(t, s)
		require.Equal(t, []uint64{0, 0}, got["c"])
		require.True(t, now.Equal(r.Series()[0].Created()))
	})
}

// TestMostRecentTime: a mostrecent value has the time of its Set. That it is the wall
// clock's, also where that was put right after opening, cannot be shown here: no time.Time
// can be made whose two readings disagree.
func TestMostRecentTime(t *testing.T) {
	opened := time.Now()
	now := opened
	s := multiproc.NewSet(multiproc.SetOptions{Now: func() time.Time { return now }})
	g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G.", Mode: metric.ModeMostRecent}))
	e := multiproc.MustNew(s.NewEnum(multiproc.EnumOpts{Name: "e", Help: "E.", States: []string{"a", "b"}, MostRecent: true}))
	clock := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "clock", Help: "T.", Mode: metric.ModeMax}))
	now = opened.Add(time.Minute)
	require.NoError(t, s.Open())
	now = now.Add(time.Second)
	g.Set(7)
	require.NoError(t, e.Set("b"))
	got, _ := stored(t, s)
	value, nanos, ok := mpm.LoadRecent(got["g"])
	require.True(t, ok)
	require.Equal(t, bits(7), value)
	require.Equal(t, opened.Add(61*time.Second).UnixNano(), nanos)
	value, _, _ = mpm.LoadRecent(got["e"])
	require.Equal(t, bits(1), value)

	now = time.Unix(2_000_000_000, 0)
	clock.SetToCurrentTime()
	got, _ = stored(t, s)
	require.Equal(t, bits(2_000_000_000), got["clock"][0])
}

// TestRemovedHandles: what a handle of a removed series does goes nowhere, as
// long as anybody holds it; its words are used again only then.
func TestRemovedHandles(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		stale := v.WithLabelValues("x")
		stale.Inc()
		require.True(t, v.DeleteLabelValues("x"))
		stale.Add(100)
		fresh := v.WithLabelValues("x")
		require.NotSame(t, stale, fresh)
		fresh.Inc()
		runtime.GC() // would free the words, were stale not held
		for n := range 100 {
			v.WithLabelValues(strconv.Itoa(n)).Inc()
		}
		stale.Add(100)
		got, _ := stored(t, s)
		require.Len(t, got, 101)
		for key, words := range got {
			require.EqualValues(t, 1, words[0], key)
		}
		runtime.KeepAlive(stale)
	})
}

// TestUnreachableWordsAreReused polls, since a cleanup runs some time after the
// collection that found its object dead.
func TestUnreachableWordsAreReused(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir(), KeepRemoved: metric.KeepNone})
	v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	offset := func() int64 {
		_, r := stored(t, s)
		return r.Series()[0].Offset()
	}
	v.WithLabelValues("0").Add(9)
	first := offset()
	deadline := time.Now().Add(30 * time.Second)
	for n := 1; ; n++ {
		require.True(t, v.DeleteLabelValues(strconv.Itoa(n-1)))
		runtime.GC()
		v.WithLabelValues(strconv.Itoa(n)) // a label set of the same length or longer
		if offset() == first {
			break
		}
		require.True(t, time.Now().Before(deadline), "the first record was never used again")
		runtime.Gosched()
	}
	got, _ := stored(t, s)
	require.Len(t, got, 1)
	for key, words := range got {
		require.Equal(t, []uint64{0, 0}, words, "%s begins at zero", key)
	}
}

func TestDeleteFindsReplacedBytes(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		v.WithLabelValues("a\xff").Inc()
		require.True(t, v.DeleteLabelValues("a\xff"))
		v.MustCurryWith(multiproc.Labels{"l": "b\xff"}).WithLabelValues().Inc()
		require.Equal(t, 1, v.DeletePartialMatch(multiproc.Labels{"l": "b\xff"}))
		got, _ := stored(t, s)
		require.Empty(t, got)
	})
}

// TestOverflowSeriesIsASeries: it can be looked up, goes with Reset, and comes
// again.
func TestOverflowSeriesIsASeries(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C.", MaxSeries: 2}, []string{"l"}))
		const overflow = "__overflow__"
		for range 2 {
			for n := range 5 {
				v.WithLabelValues(strconv.Itoa(n)).Inc()
			}
			require.Same(t, v.WithLabelValues("another"), v.WithLabelValues(overflow))
			got, _ := stored(t, s)
			require.Len(t, got, 3)
			require.EqualValues(t, 3, got[`c{l="`+overflow+`"}`][0])
			v.Reset()
			got, _ = stored(t, s)
			require.Empty(t, got)
		}
		v.WithLabelValues("1").Inc()
		require.NotSame(t, v.WithLabelValues("1"), v.WithLabelValues("2"), "the limit counts from 0 again")
		_, r := stored(t, s)
		require.EqualValues(t, 8, r.Count(mpm.OverflowSeries))
	})
}

// TestLabelsBeyondABlock: each value is short enough, all together are not.
func TestLabelsBeyondABlock(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		names := make([]string, 20)
		for i := range names {
			names[i] = fmt.Sprintf("l%02d", i)
		}
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, names))
		long := slices.Repeat([]string{strings.Repeat("x", form.MaxLabelValueLen)}, len(names))
		_, err := v.GetMetricWithLabelValues(long...)
		require.ErrorIs(t, err, form.ErrLabelValues)
		v.WithLabelValues(long...).Inc()
		// The most that a block may have to hold.
		for i := 15; i < len(long); i++ {
			long[i] = ""
		}
		v.WithLabelValues(long...).Add(2)
		got, _ := stored(t, s)
		require.Len(t, got, 2)
		for key, words := range got {
			want := uint64(2)
			if strings.Contains(key, "__overflow__") {
				want = 1
			}
			require.Equal(t, want, words[0])
		}
	})
}

func TestCountersStayFinite(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	c.Add(math.MaxFloat64)
	c.Add(math.MaxFloat64)
	got, r := stored(t, s)
	require.Equal(t, bits(math.MaxFloat64), got["c"][1])
	require.EqualValues(t, 1, r.Count(mpm.InvalidUpdates))
}

func TestCurriedWrongNumbers(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	v := multiproc.MustNew(s.NewGaugeVec(multiproc.GaugeOpts{Name: "g", Help: "G."}, []string{"a", "b", "c"}))
	view := v.MustCurryWith(multiproc.Labels{"b": "2"})
	require.Same(t, v.WithLabelValues("1", "2", "3"), view.WithLabelValues("1", "3"))
	twice := view.MustCurryWith(multiproc.Labels{"c": "3"})
	require.Same(t, v.WithLabelValues("1", "2", "3"), twice.WithLabelValues("1"))
	for _, wrong := range [][]string{nil, {"1"}, {"1", "2", "3"}} {
		view.WithLabelValues(wrong...).Set(1)
		_, err := view.GetMetricWithLabelValues(wrong...)
		require.ErrorIs(t, err, form.ErrLabelValues)
		require.False(t, view.DeleteLabelValues(wrong...))
	}
	view.With(multiproc.Labels{"a": "1", "b": "2", "c": "3"}).Set(1) // b is curried away
	got, r := stored(t, s)
	require.Equal(t, map[string][]uint64{`g{a="1",b="2",c="3"}`: {mpm.UnsetBits}}, got)
	require.EqualValues(t, 4, r.Count(mpm.DiscardedCalls))
	require.True(t, twice.Delete(multiproc.Labels{"a": "1"}))
}

func TestInfoContent(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		i := multiproc.MustNew(s.NewInfo(multiproc.InfoOpts{Name: "i", Help: "I."}))
		require.NoError(t, i.Set(multiproc.Labels{"a": "1"}))
		_, r := stored(t, s)
		before := r.Series()[0].Offset()
		require.NoError(t, i.Set(multiproc.Labels{"a": "1"}))
		_, r = stored(t, s)
		require.Equal(t, before, r.Series()[0].Offset(), "the same content is not a new series")
		many := multiproc.Labels{}
		for n := range form.MaxLabels + 1 {
			many["l"+strconv.Itoa(n)] = ""
		}
		require.ErrorIs(t, i.Set(many), form.ErrLabelValues)
		require.NoError(t, s.Close())
		require.ErrorIs(t, i.Set(multiproc.Labels{"a": "2"}), mpm.ErrClosed)
	})
}

func TestConflictsSayWhatDiffers(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	multiproc.MustNew(s.NewGaugeVec(multiproc.GaugeOpts{Name: "g", Help: "G."}, []string{"l"}))
	multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H."}))
	multiproc.MustNew(s.NewEnum(multiproc.EnumOpts{Name: "e", Help: "E.", States: []string{"a"}}))
	multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "f", Help: "F."}))
	for want, err := range map[string]error{
		`the help is "X.", not "G."`:   second(s.NewGaugeVec(multiproc.GaugeOpts{Name: "g", Help: "X."}, []string{"l"})),
		"the mode is sum, not all":     second(s.NewGaugeVec(multiproc.GaugeOpts{Name: "g", Help: "G.", Mode: metric.ModeSum}, []string{"l"})),
		`the labels are [], not ["l"]`: second(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G."})),
		"the buckets are [1], not":     second(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{1}})),
		`the states are ["b"]`:         second(s.NewEnum(multiproc.EnumOpts{Name: "e", Help: "E.", States: []string{"b"}})),
		"a Vec or a function":          second(s.NewGaugeFunc(multiproc.GaugeOpts{Name: "f", Help: "F."}, func() float64 { return 0 })),
		"share a sample's name":        second(s.NewGauge(multiproc.GaugeOpts{Name: "h_sum", Help: "H."})),
	} {
		require.ErrorIs(t, err, multiproc.ErrConflict)
		require.ErrorContains(t, err, want)
	}
	_, err := s.NewGauge(multiproc.GaugeOpts{Name: `g{l="1"}`, Help: "UTF-8 names may look like anything."})
	require.NoError(t, err)
	require.ErrorIs(t, second(s.NewGaugeFunc(multiproc.GaugeOpts{Name: "nil", Help: "N."}, nil)), form.ErrSchema)
	both := multiproc.EnumOpts{Name: "both", Help: "B.", States: []string{"a"}, PerProcess: true, MostRecent: true}
	require.ErrorIs(t, second(s.NewEnum(both)), form.ErrSchema)
}

// TestAfterClose: what is too late goes nowhere, and says so where it can.
func TestAfterClose(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		require.NoError(t, s.Close())
		require.ErrorIs(t, s.Open(), mpm.ErrClosed)
		c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
		c.Inc()
		c.Reset()
		s.Publish()
		require.NoError(t, s.Close())
	})
}

// TestRemovedBeforeOpening: a process that only declares does not collect what
// it has removed.
func TestRemovedBeforeOpening(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		stale := v.WithLabelValues("x")
		require.True(t, v.DeleteLabelValues("x"))
		v.WithLabelValues("kept")
		stale.Inc() // opens the store, and goes nowhere
		got, _ := stored(t, s)
		require.Equal(t, map[string][]uint64{`c{l="kept"}`: {0, 0}}, got)
	})
}

// TestOpeningRaces lets the first updates, lookups, declarations and wrong
// updates all meet the opening: none may be lost.
func TestOpeningRaces(t *testing.T) {
	for range 50 {
		s := multiproc.NewSet(multiproc.SetOptions{})
		c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "v", Help: "V."}, []string{"l"}))
		g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G.", Mode: metric.ModeMostRecent}))
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				label := strconv.Itoa(n % 3)
				c.Add(-1)
				v.WithLabelValues(label, "wrong").Inc()
				v.WithLabelValues(label).Inc()
				c.Inc()
				g.Set(1)
				multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "n" + label, Help: "N."})).Inc()
			})
		}
		wg.Wait()
		got, r := stored(t, s)
		require.EqualValues(t, 8, got["c"][0])
		for label, want := range map[string]uint64{"0": 3, "1": 3, "2": 2} {
			require.Equal(t, want, got[`v{l="`+label+`"}`][0])
			require.Equal(t, want, got["n"+label][0])
		}
		require.EqualValues(t, 8, r.Count(mpm.InvalidUpdates))
		require.EqualValues(t, 8, r.Count(mpm.DiscardedCalls))
	}
}

func TestCurriedLookupsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	backings(t, multiproc.SetOptions{MaxSeries: 1}, func(t *testing.T, s *multiproc.Set) {
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"a", "b"}))
		view := v.MustCurryWith(multiproc.Labels{"b": "y"})
		labels := multiproc.Labels{"a": "x", "b": "y"}
		require.Zero(t, testing.AllocsPerRun(100, func() {
			view.WithLabelValues("x").Inc()
			v.With(labels).Inc()
			v.WithLabelValues("beyond", "the limit").Inc()
			v.WithLabelValues("wrong").Inc()
		}))
	})
}

// collect is a slog.Handler that keeps messages.
type collect struct {
	slog.Handler
	messages []string
}

func (c *collect) Enabled(context.Context, slog.Level) bool { return true }
func (c *collect) Handle(_ context.Context, r slog.Record) error {
	c.messages = append(c.messages, r.Level.String()+" "+r.Message)
	return nil
}

// TestDefaultLoggerIsAskedLate: package-level instruments exist before main
// has set the logger.
func TestDefaultLoggerIsAskedLate(t *testing.T) {
	old := slog.Default()
	defer slog.SetDefault(old)
	s := multiproc.NewSet(multiproc.SetOptions{Dir: filepath.Join(t.TempDir(), "missing")})
	c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	var log collect
	slog.SetDefault(slog.New(&log))
	c.Inc()
	c.Inc()
	require.Len(t, log.messages, 1)
	require.ErrorIs(t, s.Fallback(), fs.ErrNotExist)
}
