package aggregate

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// clocked is a process of a test with a clock that the test moves.
type clocked struct {
	*process
	family *mpm.SchemaRef
}

func startAt(t *testing.T, dir string, now *time.Time) *clocked {
	t.Helper()
	s, err := mpm.Create(dir, mpm.Options{Label: "w", Now: func() time.Time { return *now }})
	require.NoError(t, err)
	f, err := s.AddSchema(counter("c", "l"))
	require.NoError(t, err)
	return &clocked{&process{s, t}, f}
}

func (w *clocked) series(n uint64) *mpm.Series {
	s, err := w.AddSeries(w.family, []string{"x"}, nil)
	require.NoError(w.t, err)
	s.Words()[mpm.CellCounterInts] = n
	return s
}

// removesAndDies has a process make the series, remove it a second later, and die.
func removesAndDies(t *testing.T, elsewhere, dir string, now *time.Time) {
	t.Helper()
	w := startAt(t, elsewhere, now)
	s := w.series(10)
	*now = now.Add(time.Second)
	s.Remove()
	die(t, w.Store, dir)
}

// TestRemovalByOneProcessAfterTheOther: a counter does not fall while workers remove a series
// one by one. After the last one nothing is left, also of dead processes and of the archive,
// and a new series begins at zero.
func TestRemovalByOneProcessAfterTheOther(t *testing.T) {
	for _, compacting := range []string{"never", "before", "after", "always"} {
		t.Run(compacting, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			now := time.Unix(1000, 0)
			later := func() { now = now.Add(time.Second) }
			warm := openDir(t, dir, Options{NoSelfMetrics: true})
			check := func(want float64, there bool, created time.Time) {
				t.Helper()
				for _, a := range []*Aggregator{warm, openDir(t, dir, Options{NoSelfMetrics: true})} {
					families, err := a.Gather(context.Background())
					require.NoError(t, err)
					got, ok := flatten(families)[`c_total{l="x"}`]
					require.Equal(t, there, ok)
					require.Equal(t, want, got)
					if there {
						require.Equal(t, created, families[0].Series[0].Created)
					}
				}
				if compacting == "always" {
					compactDir(t, dir)
				}
			}
			first := now
			dead := startAt(t, elsewhere, &now)
			dead.series(100)
			die(t, dead.Store, dir)
			later()
			a, b := startAt(t, dir, &now), startAt(t, dir, &now)
			ofA, ofB := a.series(10), b.series(1)
			check(111, true, first)
			if compacting == "before" {
				compactDir(t, dir)
			}

			later()
			ofA.Remove()
			check(111, true, first)
			later()
			ofB.Remove()
			check(0, false, first)
			if compacting == "after" {
				compactDir(t, dir)
			}
			check(0, false, first)

			later()
			again := now
			b.series(5)
			check(5, true, again)
			later()
			other := startAt(t, dir, &now)
			other.series(7)
			check(12, true, again)
			compactDir(t, dir)
			check(12, true, again)
		})
	}
}

// TestRemovalIsForgottenByTheArchive: after a compaction, a series whose life is over stays
// away, although no file records its removal any more.
func TestRemovalIsForgottenByTheArchive(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	dead := startAt(t, elsewhere, &now)
	dead.series(100)
	die(t, dead.Store, dir)
	compactDir(t, dir)
	now = now.Add(time.Second)
	removesAndDies(t, elsewhere, dir, &now)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	require.Empty(t, gather(t, a))
	compactDir(t, dir)
	require.Empty(t, gather(t, a))
	require.Equal(t, []string{mpm.ArchiveName}, names(t, dir))
}

// TestRemovalWithoutDead: the archive is rewritten even if nobody has died.
func TestRemovalWithoutDead(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	dead := startAt(t, elsewhere, &now)
	dead.series(100)
	die(t, dead.Store, dir)
	require.Equal(t, 1, compactDir(t, dir).Series)
	now = now.Add(time.Second)
	live := startAt(t, dir, &now)
	series := live.series(10)
	now = now.Add(time.Second)
	series.Remove()
	require.Equal(t, 0, compactDir(t, dir).Series)
	require.Empty(t, gather(t, openDir(t, dir, Options{NoSelfMetrics: true})))
}

// TestRemovedGaugesCountNoMore: a removed gauge does not count any more, unlike a counter.
func TestRemovedGaugesCountNoMore(t *testing.T) {
	dir := t.TempDir()
	var removed []*mpm.Series
	for i, label := range []string{"a", "b"} {
		p := newTickingProcess(t, dir, label, time.Unix(int64(i), 0))
		for _, m := range []metric.Mode{metric.ModeSum, metric.ModeAll} {
			s := p.add(gauge("g_"+m.String(), m))
			setGauge(s, 5)
			if label == "a" {
				removed = append(removed, s)
			}
		}
	}
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	require.Equal(t, map[string]float64{"g_sum": 10, `g_all{pid="a"}`: 5, `g_all{pid="b"}`: 5}, gather(t, a))
	for _, s := range removed {
		s.Remove()
	}
	require.Equal(t, map[string]float64{"g_sum": 5, `g_all{pid="b"}`: 5}, gather(t, a))
}

// TestRemovalDoesNotWaitForTheThreshold: the evidence that a life is over does not stay for
// ever, so the parts of dead processes go at once, however few there are.
func TestRemovalDoesNotWaitForTheThreshold(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	dead := startAt(t, elsewhere, &now)
	dead.series(100)
	die(t, dead.Store, dir)
	now = now.Add(time.Second)
	live := startAt(t, dir, &now)
	series := live.series(1)
	now = now.Add(time.Second)
	series.Remove()
	r, err := Compact(t.Context(), dir, CompactOptions{Threshold: 8})
	require.NoError(t, err)
	require.Len(t, r.Compacted, 1)
	require.Equal(t, 0, r.Series)
}

// TestRemovalAfterTheListing: a worker that was not listed may have made the
// series before the other removed it.
func TestRemovalAfterTheListing(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	dead := startAt(t, elsewhere, &now)
	dead.series(100)
	die(t, dead.Store, dir)
	compactDir(t, dir)
	first := startAt(t, dir, &now)
	ofFirst := first.series(6)
	var once bool
	_, err := Compact(t.Context(), dir, CompactOptions{Progress: func(done, total int) {
		if done == total && !once {
			once = true
			now = time.Now()
			startAt(t, dir, &now).series(1)
			now = time.Now()
			ofFirst.Remove()
		}
	}})
	require.NoError(t, err)
	require.EqualValues(t, 107, gather(t, openDir(t, dir, Options{}))[`c_total{l="x"}`])
}

// TestFilesThatAreLeftAreEvidence: a process that may live keeps a series alive, and a file
// that cannot be compacted still says that a series was removed.
func TestFilesThatAreLeftAreEvidence(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	dead := startAt(t, elsewhere, &now)
	dead.series(100)
	die(t, dead.Store, dir)
	compactDir(t, dir)
	unsure := startAt(t, elsewhere, &now)
	unsure.series(10)
	setLiveness(t, die(t, unsure.Store, dir), mpm.LivenessNone)
	live := startAt(t, dir, &now)
	series := live.series(1)
	now = now.Add(time.Second)
	series.Remove()
	a := openDir(t, dir, Options{})
	require.EqualValues(t, 111, gather(t, a)[`c_total{l="x"}`])
	compactDir(t, dir)
	require.EqualValues(t, 111, gather(t, a)[`c_total{l="x"}`])
}

// TestRemovalKeepsItsEvidence: a process has closed its store and still runs. Its part of a
// removed series stays away, although the process that removed the series later is dead and
// compacted.
func TestRemovalKeepsItsEvidence(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	closed := startAt(t, dir, &now)
	closed.series(100)
	require.NoError(t, closed.Close())
	now = now.Add(time.Second)
	removesAndDies(t, elsewhere, dir, &now)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	require.Empty(t, gather(t, a))
	require.Empty(t, compactDir(t, dir).Compacted)
	require.Empty(t, gather(t, a))

	die(t, closed.Store, dir)
	require.Len(t, compactDir(t, dir).Compacted, 2)
	require.Empty(t, gather(t, a))
}

// TestRemovalByAClockAhead: a process whose clock is slower than that of the one that has removed
// a series makes it again, before the removal by its own clock. For all readers the series
// has not ended, whether or not any other part of it was there.
func TestRemovalByAClockAhead(t *testing.T) {
	for _, of := range []string{"two", "one"} {
		t.Run(of, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			now := time.Unix(1000, 0)
			want := 11.0
			if of == "two" {
				dead := startAt(t, elsewhere, &now)
				dead.series(100)
				die(t, dead.Store, dir)
				want = 111
			}
			slow := startAt(t, dir, &now)
			ahead := startAt(t, dir, &now)
			removed := ahead.series(10)
			now = time.Unix(1010, 0)
			removed.Remove()
			warm := openDir(t, dir, Options{NoSelfMetrics: true})
			for range 2 {
				require.Empty(t, gather(t, warm))
			}
			now = time.Unix(1005, 0)
			slow.series(1)
			for _, a := range []*Aggregator{warm, openDir(t, dir, Options{NoSelfMetrics: true})} {
				require.Equal(t, map[string]float64{`c_total{l="x"}`: want}, gather(t, a))
			}
		})
	}
}
