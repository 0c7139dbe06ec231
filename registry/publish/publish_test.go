package publish

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// scripted is a source that yields what the test says.
type scripted struct {
	mu       sync.Mutex
	families []*metric.Family
	err      error
}

func (s *scripted) Gather(context.Context) ([]*metric.Family, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.families, s.err
}

func (s *scripted) say(err error, families ...*metric.Family) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.families, s.err = families, err
}

// start starts a publisher whose period never comes, and waits for its first
// publication.
func start(t *testing.T, opts Options) *Publisher {
	t.Helper()
	if opts.tick == nil {
		opts.tick = make(chan time.Time)
	}
	p, err := Start(opts)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	waitFirst(p)
	return p
}

// view is what the server of /metrics has: the merged directory with the
// process metrics of the workers.
func view(t *testing.T, dir string) gather.Gatherer {
	t.Helper()
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	return registry.Directory(a)
}

// gather returns the families by name; the gathering must have no error.
func gatherFrom(t *testing.T, g gather.Gatherer) map[string]*metric.Family {
	t.Helper()
	families, err := g.Gather(t.Context())
	require.NoError(t, err)
	out := map[string]*metric.Family{}
	for _, f := range families {
		out[f.Name] = f
	}
	return out
}

// pids returns the values of the label pid, sorted.
func pids(f *metric.Family) []string {
	var out []string
	if f != nil {
		for _, s := range f.Series {
			pid, _ := s.Labels.Get("pid")
			out = append(out, pid)
		}
	}
	slices.Sort(out)
	return out
}

// backings runs a test on a Set of each backing.
func backings(t *testing.T, test func(t *testing.T, set *multiproc.Set)) {
	t.Run("heap", func(t *testing.T) { test(t, multiproc.NewSet(multiproc.SetOptions{})) })
	t.Run("file", func(t *testing.T) { test(t, multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})) })
}

// only returns the one series of a family, without its created time and with
// nil for no labels.
func only(t *testing.T, f *metric.Family) metric.Series {
	t.Helper()
	require.NotNil(t, f)
	require.Len(t, f.Series, 1)
	s := f.Series[0]
	s.Created = time.Time{}
	if len(s.Labels) == 0 {
		s.Labels = nil
	}
	return s
}

var t0 = time.Unix(1_700_000_000, 0)

// TestTypes: what becomes of each type, in the shape in which the source gave it.
func TestTypes(t *testing.T) {
	backings(t, func(t *testing.T, set *multiproc.Set) {
		l := metric.MakeLabels("a", "1")
		inf := math.Inf(1)
		buckets := func(counts ...uint64) []metric.Bucket {
			return []metric.Bucket{{UpperBound: 1, Count: counts[0]}, {UpperBound: 2, Count: counts[1]}, {UpperBound: inf, Count: counts[2]}}
		}
		src := &scripted{}
		src.say(nil,
			fam("c", metric.Counter, metric.Series{Labels: l, Value: 1e15 + 0.5}),
			fam("g", metric.Gauge, metric.Series{Labels: l, Value: -1}, metric.Series{Labels: metric.MakeLabels("b", "2"), Value: inf}),
			fam("u", metric.Unknown, metric.Series{Value: 7}),
			fam("h", metric.Histogram, metric.Series{Buckets: buckets(1, 1, 4), Count: 4, Sum: 9}),
			fam("n", metric.Histogram, metric.Series{Buckets: buckets(0, 1, 1), Count: 1, NoSum: true}),
			fam("s", metric.Summary, metric.Series{Count: 3, Sum: 2.5, Quantiles: []metric.Quantile{{Q: 0.5, Value: 1}}}),
			fam("i", metric.Info, metric.Series{Labels: metric.MakeLabels("version", "1"), Value: 1}),
			fam("e", metric.StateSet, metric.Series{States: []metric.State{{Name: "x"}, {Name: "y", On: true}}}),
		)
		p := start(t, Options{Source: src, Set: set})
		require.NoError(t, p.Publish(t.Context()))
		require.NoError(t, p.Publish(t.Context()), "the same again counts once")
		got := gatherFrom(t, registry.Instruments(set))
		pid := only(t, got["u"]).Labels
		require.Len(t, pid, 1)

		require.Equal(t, metric.Series{Labels: l, Value: 1e15 + 0.5}, only(t, got["c"]))
		require.Len(t, got["g"].Series, 2, "series of one family may have different labels")
		require.Equal(t, -1.0, got["g"].Series[0].Value)
		require.Equal(t, inf, got["g"].Series[1].Value)
		require.Equal(t, metric.Unknown, got["u"].Type)
		require.Equal(t, metric.Series{Buckets: buckets(1, 1, 4), Count: 4, Sum: 9}, only(t, got["h"]))
		require.True(t, math.IsNaN(only(t, got["n"]).Sum), "a sum that is not known")
		require.Equal(t, metric.Series{Count: 3, Sum: 2.5}, only(t, got["s"]), "no quantiles")
		require.Equal(t, metric.MakeLabels("version", "1"), only(t, got["i"]).Labels)
		require.Equal(t, []metric.State{{Name: "x"}, {Name: "y", On: true}}, only(t, got["e"]).States)
		require.Equal(t, "Help of c.", got["c"].Help)
	})
}

// TestLeftOut: what cannot be held is in the error, everything else is there.
func TestLeftOut(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{Name: "mine", Help: "M."}))
	inf := metric.Bucket{UpperBound: math.Inf(1)}
	src := &scripted{}
	src.say(nil,
		fam("bad", metric.Counter, metric.Series{Value: -1}, metric.Series{Labels: metric.MakeLabels("l", "1"), Value: 2}),
		fam("nan", metric.Counter, metric.Series{Value: math.NaN()}),
		fam("gh", metric.GaugeHistogram, metric.Series{Buckets: []metric.Bucket{inf}}),
		fam("h", metric.Histogram, metric.Series{Buckets: []metric.Bucket{inf}}),
		fam("none", metric.StateSet, metric.Series{States: []metric.State{{Name: "x"}}}),
		fam("long", metric.Gauge, metric.Series{Labels: metric.MakeLabels("l", string(make([]byte, 70_000)))}),
		fam("many", metric.Gauge, metric.Series{Labels: metric.MakeLabels("l", "1")}, metric.Series{Labels: metric.MakeLabels("l", "2")},
			metric.Series{Labels: metric.MakeLabels("l", "3")}),
		fam("mine", metric.Gauge, metric.Series{Value: 1}),
		fam("mode", metric.StateSet, metric.Series{States: []metric.State{{Name: "x", On: true}}}),
		fam("panics", metric.Gauge, metric.Series{}),
		fam("unwanted", metric.Gauge, metric.Series{}),
		fam("invalid name\xff", metric.Gauge, metric.Series{}),
		fam("z", metric.Gauge, metric.Series{Value: 3}),
	)
	p := start(t, Options{Source: src, Set: set, MaxSeries: 2, Mode: func(f *metric.Family) (metric.Mode, bool) {
		if f.Name == "panics" {
			panic("a bug")
		}
		return metric.ModeSum, f.Name != "unwanted"
	}})
	err := p.Publish(t.Context())
	for _, want := range []string{
		`counter "bad": 1 series left out, first`, `counter "nan"`, `gaugehistogram "gh"`, `stateset "none"`, `gauge "long"`,
		`gauge "many": 1 series left out, first {l="3"}`, `gauge "mine"`, `stateset "mode"`, `gauge "panics"`, `invalid name`,
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "unwanted")
	require.ErrorIs(t, err, multiproc.ErrConflict)
	require.ErrorIs(t, err, metric.ErrInvalid)
	got := gatherFrom(t, registry.Instruments(set))
	require.Equal(t, 2.0, only(t, got["bad"]).Value)
	require.Len(t, got["many"].Series, 2)
	require.Len(t, only(t, got["h"]).Buckets, 1)
	require.Zero(t, only(t, got["mine"]).Value, "the instrument's")
	require.Equal(t, metric.Series{Value: 3}, only(t, got["z"]), "one series, by the mode")
	for _, name := range []string{"nan", "gh", "none", "long", "mode", "panics", "unwanted"} {
		require.NotContains(t, got, name)
	}
}

// TestInstrumentsWin: one that is declared after a family of its name was
// published takes it over.
func TestInstrumentsWin(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	src := &scripted{}
	src.say(nil, fam("g", metric.Gauge, metric.Series{Value: 5}))
	p := start(t, Options{Source: src, Set: set})
	require.NoError(t, p.Publish(t.Context()))
	multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "Help of g.", Mode: metric.ModeLiveAll})).Set(1)
	for range 2 {
		require.ErrorIs(t, p.Publish(t.Context()), multiproc.ErrConflict)
		require.Equal(t, 1.0, only(t, gatherFrom(t, registry.Instruments(set))["g"]).Value)
	}
}

// TestTwoPublishers: what one has published, another does not publish again,
// also not after Close.
func TestTwoPublishers(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	src := &scripted{}
	src.say(nil, fam("c", metric.Counter, metric.Series{Value: 5}))
	one := start(t, Options{Source: src, Set: set})
	require.NoError(t, one.Publish(t.Context()))
	two := start(t, Options{Source: src, Set: set, Name: "two"})
	require.ErrorIs(t, two.Publish(t.Context()), multiproc.ErrConflict)
	require.ErrorContains(t, two.Publish(t.Context()), `publisher "runtime" has claimed it`)
	require.NoError(t, one.Close())
	require.ErrorIs(t, two.Publish(t.Context()), multiproc.ErrConflict)
	got := gatherFrom(t, registry.Instruments(set))
	require.Equal(t, 5.0, only(t, got["c"]).Value)
	require.Len(t, got["multiprom_publish_timestamp_seconds"].Series, 2)
}

// TestMergedViewIsRefused: a source that has what was published would grow at
// every period.
func TestMergedViewIsRefused(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	p := start(t, Options{Source: registry.Instruments(set), Set: set})
	require.ErrorIs(t, p.Publish(t.Context()), ErrMergedView)
}

// TestModeMostRecent: the time is that of the change, or the source's.
func TestModeMostRecent(t *testing.T) {
	dir := t.TempDir()
	var sources [2]*scripted
	var publishers [2]*Publisher
	var now atomic.Int64
	now.Store(t0.UnixNano())
	for i := range sources {
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
		sources[i] = &scripted{}
		sources[i].say(nil, fam("g", metric.Gauge, metric.Series{Value: float64(i)}))
		publishers[i] = start(t, Options{
			Source: sources[i], Set: set, Now: func() time.Time { return time.Unix(0, now.Load()) },
			Mode: func(*metric.Family) (metric.Mode, bool) { return metric.ModeMostRecent, true },
		})
	}
	publish := func(i int) float64 {
		now.Add(int64(time.Second))
		require.NoError(t, publishers[i].Publish(t.Context()))
		return only(t, gatherFrom(t, view(t, dir))["g"]).Value
	}
	publish(0)
	sources[1].say(nil, fam("g", metric.Gauge, metric.Series{Value: 11}))
	require.Equal(t, 11.0, publish(1))
	require.Equal(t, 11.0, publish(0), "it has not changed")
	sources[0].say(nil, fam("g", metric.Gauge, metric.Series{Value: 10}))
	require.Equal(t, 10.0, publish(0))
	sources[1].say(nil, fam("g", metric.Gauge, metric.Series{Value: 11, Timestamp: t0.Add(time.Hour)}))
	require.Equal(t, 11.0, publish(1), "the source says when it is from")
}

// TestIdleWithoutDirectory: registry.Default has the Go runtime there.
func TestIdleWithoutDirectory(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	p, err := Start(Options{Set: set})
	require.NoError(t, err)
	require.NoError(t, p.Publish(t.Context()))
	require.True(t, set.Opened(), "where the values are is settled")
	require.NoError(t, p.Close())
	require.ErrorIs(t, p.Publish(t.Context()), ErrClosed)
}

// TestStartFails: where there can be no file, or names are taken.
func TestStartFails(t *testing.T) {
	_, err := Start(Options{Set: multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir() + "/none"})})
	require.Error(t, err)
	set := multiproc.NewSet(multiproc.SetOptions{})
	multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{Name: "multiprom_publish_timestamp_seconds", Help: "Mine."}))
	_, err = Start(Options{Set: set, Source: &scripted{}})
	require.ErrorIs(t, err, multiproc.ErrConflict)
}

// TestPeriodAndClose: at once, at every tick, and once more at Close; the time of
// the last publication is exported.
func TestPeriodAndClose(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	ticks, errs := make(chan time.Time), make(chan error)
	boom := errors.New("boom")
	var gathered atomic.Int64
	p := start(t, Options{
		Set: set, tick: ticks, OnError: func(err error) { errs <- err }, Now: func() time.Time { return t0 },
		Source: gather.Func(func(context.Context) ([]*metric.Family, error) {
			if gathered.Add(1) == 1 {
				return nil, boom
			}
			return []*metric.Family{fam("g", metric.Gauge, metric.Series{Value: float64(gathered.Load())})}, boom
		}),
	})
	require.ErrorIs(t, <-errs, boom)
	published := func() (value, at float64) {
		got := gatherFrom(t, registry.Instruments(set))
		if got["g"] != nil {
			value = only(t, got["g"]).Value
		}
		return value, only(t, got["multiprom_publish_timestamp_seconds"]).Value
	}
	value, at := published()
	require.Zero(t, value)
	require.Zero(t, at, "the source gave nothing")
	for want := 2.0; want < 5; want++ {
		ticks <- t0
		require.ErrorIs(t, <-errs, boom)
		value, at := published()
		require.Equal(t, want, value)
		require.Equal(t, float64(t0.Unix()), at)
	}
	require.ErrorIs(t, p.Close(), boom)
	value, _ = published()
	require.Equal(t, 5.0, value)
	require.ErrorIs(t, p.Close(), boom)
	require.Equal(t, int64(5), gathered.Load(), "closing twice publishes once")
	require.ErrorIs(t, p.Publish(t.Context()), ErrClosed)
	require.Equal(t, 5.0, only(t, gatherFrom(t, registry.Instruments(set))["multiprom_publish_failures"]).Value)
}

// TestWriteAllocatesNothing: all that a publication allocates is the source's.
func TestWriteAllocatesNothing(t *testing.T) {
	src := &scripted{}
	p := start(t, Options{Source: src, Set: multiproc.NewSet(multiproc.SetOptions{})})
	families, err := goRuntime().Gather(t.Context())
	require.NoError(t, err)
	families = append(families, fam("h", metric.Histogram, metric.Series{
		Labels: metric.MakeLabels("a", "1", "b", "2"), Buckets: []metric.Bucket{{UpperBound: 1}, {UpperBound: math.Inf(1)}},
	}))
	src.say(nil, families...)
	require.NoError(t, p.Publish(t.Context()))
	<-p.turn
	defer func() { p.turn <- struct{}{} }()
	require.Zero(t, testing.AllocsPerRun(10, func() {
		if err := p.book.enter(families, t0); err != nil {
			panic(err)
		}
		p.book.sweep(true)
	}))
}

// TestPublishWhileReading: for the race detector, on the heap.
func TestPublishWhileReading(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	var n atomic.Int64
	p := start(t, Options{Set: set, Source: gather.Func(func(context.Context) ([]*metric.Family, error) {
		i := n.Add(1)
		f := fam("g", metric.Gauge, metric.Series{Value: float64(i)})
		if i%2 == 0 {
			f.Series = append(f.Series, metric.Series{Labels: metric.MakeLabels("l", "comes and goes")})
		}
		return []*metric.Family{fam("c", metric.Counter, metric.Series{Value: float64(i)}), f}, nil
	})})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 200 {
				if err := p.Publish(context.Background()); err != nil {
					panic(err)
				}
			}
		})
	}
	last := 0.0
	for range 200 {
		if c := gatherFrom(t, registry.Instruments(set))["c"]; c != nil {
			require.GreaterOrEqual(t, only(t, c).Value, last)
			last = only(t, c).Value
		}
	}
	wg.Wait()
	require.Equal(t, float64(n.Load()), only(t, gatherFrom(t, registry.Instruments(set))["c"]).Value)
}
