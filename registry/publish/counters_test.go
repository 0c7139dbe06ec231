package publish

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/actions"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// cumulatives returns a counter, a histogram and a summary that have counted
// low observations of 0.5 and high ones of 2.
func cumulatives(low, high uint64, created time.Time) []*metric.Family {
	n, sum := low+high, 0.5*float64(low)+2*float64(high)
	return []*metric.Family{
		fam("c", metric.Counter, metric.Series{Value: sum, Created: created}),
		fam("h", metric.Histogram, metric.Series{
			Buckets: []metric.Bucket{{UpperBound: 1, Count: low}, {UpperBound: math.Inf(1), Count: n}}, Count: n, Sum: sum, Created: created,
		}),
		fam("s", metric.Summary, metric.Series{Count: n, Sum: sum, Created: created}),
	}
}

// requireTotal checks that the view has these observations in all three.
func requireTotal(t *testing.T, g gather.Gatherer, low, high uint64) {
	t.Helper()
	got := gatherFrom(t, g)
	for _, want := range cumulatives(low, high, time.Time{}) {
		require.Equal(t, only(t, want), only(t, got[want.Name]))
	}
}

// TestRestarts: what the source had before it began again stays counted.
func TestRestarts(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	src := &scripted{}
	p := start(t, Options{Source: src, Set: set})
	publish := func(low, high uint64, created time.Time) {
		src.say(nil, cumulatives(low, high, created)...)
		require.NoError(t, p.Publish(t.Context()))
	}
	g := registry.Instruments(set)
	publish(4, 4, t0)
	publish(6, 8, t0)
	requireTotal(t, g, 6, 8)
	publish(1, 1, t0) // it has fallen
	requireTotal(t, g, 7, 9)
	publish(1, 2, t0)
	requireTotal(t, g, 7, 10)
	publish(20, 20, t0.Add(time.Second)) // it has not fallen, but says when it began
	requireTotal(t, g, 27, 30)
	publish(21, 20, time.Time{})
	requireTotal(t, g, 28, 30)
	all := cumulatives(21, 20, time.Time{})
	all[0].Series[0].Value = math.NaN()
	src.say(nil, all...)
	require.ErrorIs(t, p.Publish(t.Context()), errNotCounter)
	requireTotal(t, g, 28, 30) // it stays as it was
}

// TestBuckets: one bucket that has fallen is a restart, though the count has
// grown. Bounds that change would count twice: the series stays as it was.
func TestBuckets(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	src := &scripted{}
	p := start(t, Options{Source: src, Set: set})
	publish := func(bounds []float64, counts ...uint64) error {
		h := metric.Series{Buckets: metric.Cumulate(bounds, counts), Sum: 1}
		h.Count = h.Buckets[len(bounds)].Count
		src.say(nil, fam("h", metric.Histogram, h))
		return p.Publish(t.Context())
	}
	buckets := func() []metric.Bucket { return only(t, gatherFrom(t, registry.Instruments(set))["h"]).Buckets }
	require.NoError(t, publish([]float64{1}, 5, 1))
	require.NoError(t, publish([]float64{1}, 4, 9))
	want := metric.Cumulate([]float64{1}, []uint64{9, 10})
	require.Equal(t, want, buckets())
	require.ErrorIs(t, publish([]float64{2}, 30, 0), errBounds)
	require.Equal(t, want, buckets())
	require.NoError(t, publish([]float64{1}, 5, 9))
	require.Equal(t, metric.Cumulate([]float64{1}, []uint64{10, 10}), buckets())
}

// TestVanishAndReturn: a series that is not given any more is removed, and one
// that comes back counts what it has grown, not all again: the part of the
// removed one counts while another process has the series.
func TestVanishAndReturn(t *testing.T) {
	dir := t.TempDir()
	g := view(t, dir)
	var sources [2]*scripted
	var ps [2]*Publisher
	for i := range ps {
		sources[i] = &scripted{}
		ps[i] = start(t, Options{Source: sources[i], Set: multiproc.NewSet(multiproc.SetOptions{Dir: dir, ProcessID: []string{"a", "b"}[i]})})
	}
	say := func(i int, families ...*metric.Family) {
		sources[i].say(nil, families...)
		require.NoError(t, ps[i].Publish(t.Context()))
	}
	gauge := func(v float64) *metric.Family { return fam("g", metric.Gauge, metric.Series{Value: v}) }
	say(0, append(cumulatives(4, 2, time.Time{}), gauge(1))...)
	say(1, append(cumulatives(10, 10, time.Time{}), gauge(2))...)
	requireTotal(t, g, 14, 12)
	require.Equal(t, []string{"a", "b"}, pids(gatherFrom(t, g)["g"]))

	say(0)
	requireTotal(t, g, 14, 12) // while b has it
	require.Equal(t, []string{"b"}, pids(gatherFrom(t, g)["g"]))
	say(0, append(cumulatives(5, 4, time.Time{}), gauge(1))...)
	requireTotal(t, g, 15, 14)
	require.Equal(t, []string{"a", "b"}, pids(gatherFrom(t, g)["g"]))
	say(0)
	say(0, cumulatives(1, 0, time.Time{})...) // it has begun again meanwhile
	requireTotal(t, g, 16, 14)
	say(0, cumulatives(2, 0, time.Time{})...)
	requireTotal(t, g, 17, 14)

	say(0)
	say(1)
	require.NotContains(t, gatherFrom(t, g), "c", "nobody has it")
}

// TestForgottenSeries: last values of vanished series are bounded too.
func TestForgottenSeries(t *testing.T) {
	src := &scripted{}
	p := start(t, Options{Source: src, Set: multiproc.NewSet(multiproc.SetOptions{}), MaxSeries: 10})
	for round := range 100 {
		src.say(nil, fam("c", metric.Counter, metric.Series{Labels: metric.MakeLabels("l", string(rune('0'+round)))}))
		require.NoError(t, p.Publish(t.Context()))
	}
	<-p.turn
	defer func() { p.turn <- struct{}{} }()
	require.LessOrEqual(t, len(p.book.families["c"].series), 1+11)
	require.Equal(t, 1, p.book.families["c"].live)
}

// TestFailures: what a failing collector does not give is not taken for
// removed where values only grow; gauges that nobody vouches for leave.
func TestFailures(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	src := &scripted{}
	p := start(t, Options{Source: src, Set: set})
	g := registry.Instruments(set)
	all := append(cumulatives(3, 3, time.Time{}), fam("g", metric.Gauge, metric.Series{Value: 1}))
	other := fam("other", metric.Gauge, metric.Series{Value: 1})
	src.say(nil, append(all, other)...)
	require.NoError(t, p.Publish(t.Context()))

	boom := errors.New("boom")
	src.say(boom, other)
	for range 2 {
		require.ErrorIs(t, p.Publish(t.Context()), boom)
		requireTotal(t, g, 3, 3)
		require.NotContains(t, gatherFrom(t, g), "g")
		require.Contains(t, gatherFrom(t, g), "other")
	}
	src.say(nil, append(cumulatives(4, 3, time.Time{}), all[3], other)...)
	require.NoError(t, p.Publish(t.Context()))
	requireTotal(t, g, 4, 3)
	require.Contains(t, gatherFrom(t, g), "g")
	src.say(nil, other)
	require.NoError(t, p.Publish(t.Context()))
	require.NotContains(t, gatherFrom(t, g), "c")
}

// TestSourceThatIsSlow: one that listens to its context gives what it has.
func TestSourceThatIsSlow(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	slow := gather.Func(func(ctx context.Context) ([]*metric.Family, error) {
		<-ctx.Done()
		return cumulatives(1, 1, time.Time{}), ctx.Err()
	})
	errs := make(chan error, 1)
	p, err := Start(Options{Set: set, Source: slow, Timeout: 300 * time.Millisecond, OnError: func(err error) { errs <- err }})
	require.NoError(t, err)
	require.ErrorIs(t, <-errs, context.DeadlineExceeded)
	requireTotal(t, registry.Instruments(set), 1, 1)
	require.ErrorIs(t, p.Close(), context.DeadlineExceeded)
}

// TestSourceThatHangs: one that ignores its context is abandoned, and not
// asked again before it returns.
func TestSourceThatHangs(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	release := make(chan struct{})
	p := start(t, Options{Set: set, Timeout: time.Millisecond, Source: gather.Func(func(context.Context) ([]*metric.Family, error) {
		<-release
		return cumulatives(2, 2, time.Time{}), nil
	})})
	require.ErrorContains(t, p.Publish(t.Context()), "still busy", "the first one hangs")
	require.Zero(t, only(t, gatherFrom(t, registry.Instruments(set))["multiprom_publish_timestamp_seconds"]).Value)
	close(release)
	require.Eventually(t, func() bool { return p.Publish(context.Background()) == nil }, time.Minute, time.Millisecond)
	requireTotal(t, registry.Instruments(set), 2, 2)

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, p.Publish(ended), context.Canceled)
	requireTotal(t, registry.Instruments(set), 2, 2)
}

// TestRandomLivesOfProcesses: sources that restart, publish, die and are compacted
// in any order: the merged values are what all of them have counted until their
// last publication.
func TestRandomLivesOfProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("many compactions")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	g := view(t, dir)
	type process struct {
		src                 *scripted
		set                 *multiproc.Set
		p                   *Publisher
		low, high           uint64 // since the source began
		beganLow, beganHigh uint64 // before
		sawLow, sawHigh     uint64 // at the last publication, in all
	}
	var living []*process
	var deadLow, deadHigh uint64
	for range 150 {
		if len(living) < 3 {
			pr := &process{src: &scripted{}, set: multiproc.NewSet(multiproc.SetOptions{Dir: dir})}
			pr.p = start(t, Options{Source: pr.src, Set: pr.set})
			living = append(living, pr)
		}
		i := rnd.IntN(len(living))
		pr := living[i]
		actions.List{
			{Weight: 7, Name: "its counters grow", Do: func() {
				pr.low += uint64(rnd.IntN(100))
				pr.high += uint64(1 + rnd.IntN(100))
				pr.src.say(nil, cumulatives(pr.low, pr.high, time.Unix(int64(pr.beganHigh+1), 0))...)
				require.NoError(t, pr.p.Publish(t.Context()))
				pr.sawLow, pr.sawHigh = pr.beganLow+pr.low, pr.beganHigh+pr.high
			}},
			{Weight: 1, Name: "its counters begin again", Do: func() {
				pr.beganLow, pr.beganHigh = pr.sawLow, pr.sawHigh
				pr.low, pr.high = 0, 0
			}},
			{Weight: 1, Name: "it dies", Do: func() {
				pr.src.say(errors.New("dead"))
				require.Error(t, pr.p.Close())
				die(t, pr.set)
				deadLow, deadHigh = deadLow+pr.sawLow, deadHigh+pr.sawHigh
				living = append(living[:i], living[i+1:]...)
			}},
			{Weight: 1, Name: "the dead are compacted", Do: func() {
				_, err := aggregate.Compact(t.Context(), dir, aggregate.CompactOptions{})
				require.NoError(t, err)
			}},
		}.Random(rnd)
		low, high := deadLow, deadHigh
		for _, pr := range living {
			low, high = low+pr.sawLow, high+pr.sawHigh
		}
		if high > 0 {
			requireTotal(t, g, low, high)
		}
	}
	_, err := os.Stat(filepath.Join(dir, mpm.ArchiveName))
	require.NoError(t, err, "something was compacted")
}

// die replaces the file of a Set by a copy, which holds no lock: its process
// counts as dead.
func die(t *testing.T, set *multiproc.Set) {
	t.Helper()
	path := access.Store(set).Path()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	staged := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.WriteFile(staged, b, 0o600))
	require.NoError(t, os.Rename(staged, path))
}
