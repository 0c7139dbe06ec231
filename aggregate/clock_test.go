package aggregate

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// TestReplacedDirectory replaces the directory by another one, between scrapes and in the
// middle of a compaction.
func TestReplacedDirectory(t *testing.T) {
	root := t.TempDir()
	dir, away := filepath.Join(root, "dir"), filepath.Join(root, "away")
	require.NoError(t, os.Mkdir(dir, 0o700))
	a := openDir(t, dir, Options{})
	dead(t, dir, "a", 1, 1)
	require.EqualValues(t, 1, gather(t, a)["c_total"])

	replace := func() {
		require.NoError(t, os.Rename(dir, away))
		_, err := a.Gather(t.Context())
		require.ErrorIs(t, err, fs.ErrNotExist, "without a directory there is nothing to say")
		require.NoError(t, os.Mkdir(dir, 0o777))
		newProcess(t, dir, "b", 2).count(counter("c"), 20)
		dead(t, dir, "c", 3, 300)
	}
	defer func() { compact.Failpoint = func(string) {} }()
	compact.Failpoint = func(step string) {
		if step == "scanned" {
			replace()
		}
	}
	r := compactDir(t, dir)
	compact.Failpoint = func(string) {}
	require.Len(t, r.Compacted, 1)
	require.Equal(t, []string{mpm.ArchiveName}, names(t, away), "the compaction ends where it began")
	require.Len(t, names(t, dir), 2)
	require.EqualValues(t, 320, gather(t, a)["c_total"])
	compactDir(t, dir)
	require.EqualValues(t, 320, gather(t, a)["c_total"])
	require.EqualValues(t, 1, gather(t, openDir(t, away, Options{}))["c_total"])
}

// TestClockThatJumpsBack: neither writers nor compactors nor readers may rely on
// time going forward.
func TestClockThatJumpsBack(t *testing.T) {
	dir := t.TempDir()
	at := func(seconds int64) func() time.Time { return func() time.Time { return time.Unix(seconds, 0) } }
	worker := func(label string, created, set int64, value float64, live bool) {
		where := t.TempDir()
		if live {
			where = dir
		}
		p := newProcess(t, where, label, created)
		p.count(counter("c"), 1)
		setGauge(p.add(gauge("g_all", metric.ModeAll)), value)
		if set != 0 {
			recent := p.add(gauge("g_recent", metric.ModeMostRecent)).Words()
			mpm.StoreRecent(recent, math.Float64bits(value), time.Unix(set, 0).UnixNano())
		}
		if !live {
			die(t, p.Store, dir)
		}
	}
	now := at(2000) // of the reader, which is the true one
	opts := func() Options { return Options{NoSelfMetrics: true, Now: now} }
	compacted := func(clock int64, keep time.Duration) {
		t.Helper()
		warm := openDir(t, dir, opts())
		before := view(t, warm)
		_, err := Compact(t.Context(), dir, CompactOptions{Now: at(clock), KeepDeadFor: keep})
		require.NoError(t, err)
		require.Equal(t, before, view(t, warm))
		require.Equal(t, before, view(t, openDir(t, dir, opts())))
	}
	worker("slot-1", 1000, 1010, 5, false)
	compacted(1100, time.Minute)
	// The clock jumps to 10. What begins now seems older than what is dead.
	worker("slot-1", 10, 20, 4, false)
	worker("slot-2", 10, 1020, 3, false) // set before the jump
	worker("slot-3", 10, 500, 1, true)
	compacted(30, time.Minute)
	compacted(-5, time.Minute)
	worker("slot-4", -10, -20, 2, false)
	compacted(-5, time.Minute)
	compacted(0, time.Minute)
	got := gather(t, openDir(t, dir, opts()))
	require.EqualValues(t, 5, got["c_total"])
	require.EqualValues(t, 3, got["g_recent"], "the newest by the clock that it was set by")
	require.EqualValues(t, 5, got[`g_all{pid="slot-1"}`], "the newest by the clock that it was opened by")
	require.EqualValues(t, 2, got[`g_all{pid="slot-4"}`])

	// To a reader whose clock is earlier than all of them, all times are now.
	for _, clock := range []int64{1015, 15, 0, -100} {
		now = at(clock)
		got := gather(t, openDir(t, dir, opts()))
		require.EqualValues(t, 5, got["c_total"])
		require.Contains(t, got, "g_recent")
		compacted(clock, 0)
	}
	now = at(2000)
	got = gather(t, openDir(t, dir, opts()))
	require.EqualValues(t, 3, got["g_recent"])
	require.Len(t, prefixed(got, "g_all{"), 4, "nobody was dead for a minute by any clock")
	// Once it goes right again, the dead leave as they were asked to.
	worker("slot-5", 2000, 0, 6, false)
	_, err := Compact(t.Context(), dir, CompactOptions{Now: at(2000), KeepDeadFor: time.Minute})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{`g_all{pid="slot-3"}`, `g_all{pid="slot-5"}`}, prefixed(gather(t, openDir(t, dir, opts())), "g_all{"))
}
