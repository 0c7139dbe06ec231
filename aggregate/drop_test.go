package aggregate

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// TestDropFamily: a family leaves the archive, and with it what is compacted in the same
// pass, but not what living processes have. Nothing else changes.
func TestDropFamily(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	dead := func(schemas ...*metric.Schema) {
		p := newProcess(t, elsewhere, "dead", 1)
		for _, s := range schemas {
			p.count(s, 3)
		}
		p.count(counter("other"), 3)
		die(t, p.Store, dir)
	}
	drop := func(names ...string) (*CompactResult, error) {
		return Compact(context.Background(), dir, CompactOptions{DropFamilies: names})
	}
	dead(counter("jobs"))
	compactDir(t, dir)
	dead(counter("jobs"))
	live := newProcess(t, dir, "live", 5)
	live.count(counter("other"), 1)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	all := map[string]float64{"jobs_total": 6, "other_total": 7}
	require.Equal(t, all, gather(t, a))

	before := names(t, dir)
	_, err := drop("none")
	require.ErrorIs(t, err, ErrNoFamily)
	_, err = drop("jobs", "other")
	require.ErrorIs(t, err, ErrInUse, "the second one")
	require.ErrorContains(t, err, "other: "+filepath.Base(live.Path()))
	require.Equal(t, before, names(t, dir), "all or nothing")
	require.Equal(t, all, gather(t, a))
	r, err := Compact(context.Background(), dir, CompactOptions{DropFamilies: []string{"jobs"}, DryRun: true})
	require.NoError(t, err)
	require.Equal(t, []DroppedFamily{{Name: "jobs", Type: metric.Counter, Series: 1}}, r.Dropped)
	require.Equal(t, before, names(t, dir))

	r, err = drop("jobs_total") // as a scrape has it
	require.NoError(t, err)
	require.Len(t, r.Compacted, 1)
	require.Len(t, r.Dropped, 1)
	delete(all, "jobs_total")
	require.Equal(t, all, gather(t, a))
	require.Equal(t, all, gather(t, openDir(t, dir, Options{NoSelfMetrics: true})))
	_, err = drop("jobs")
	require.ErrorIs(t, err, ErrNoFamily)

	// Of schemas that conflict, those go that nobody has any more.
	dead(counter("jobs"), gauge("jobs", metric.ModeSum)) // a file may have both
	live.add(gauge("jobs", metric.ModeSum))
	compactDir(t, dir)
	conflicts, err := inspect.Conflicts(context.Background(), a)
	require.NoError(t, err)
	require.Len(t, conflicts, 1)
	r, err = drop("jobs")
	require.NoError(t, err)
	require.Equal(t, []DroppedFamily{{Name: "jobs", Type: metric.Counter, Series: 1}}, r.Dropped)
	conflicts, err = inspect.Conflicts(context.Background(), a)
	require.NoError(t, err)
	require.Empty(t, conflicts)
	require.Contains(t, gather(t, a), "jobs")
	_, err = drop("jobs")
	require.ErrorIs(t, err, ErrInUse)
	// Nor by a family that a living process has made since it was listed.
	dead(counter("late"))
	live.count(counter("late"), 1)
	_, err = drop("late")
	require.ErrorIs(t, err, ErrInUse)
}

// TestDropFamilyIsKilled: whatever step it dies at, a view has the family as it was or
// has it not at all, and all else as it was.
func TestDropFamilyIsKilled(t *testing.T) {
	for step, last := 1, 99; step <= last; step++ {
		dir, elsewhere := t.TempDir(), t.TempDir()
		dead := func() {
			p := newProcess(t, elsewhere, "dead", 1)
			p.count(counter("jobs"), 3)
			p.count(counter("other"), 5)
			die(t, p.Store, dir)
		}
		dead()
		compactDir(t, dir)
		dead()
		warm := openDir(t, dir, Options{NoSelfMetrics: true})
		require.Equal(t, map[string]float64{"jobs_total": 6, "other_total": 10}, gather(t, warm))
		steps := runRole(t, "dropper", dir, step)
		if len(steps) < step {
			last = 0 // it lived
			require.Greater(t, step, 5)
		}
		after := gather(t, warm)
		require.Equal(t, after, gather(t, openDir(t, dir, Options{NoSelfMetrics: true})))
		want := map[string]float64{"other_total": 10}
		if slices.Contains(steps, "committed") {
			require.Equal(t, want, after)
		} else {
			require.Equal(t, map[string]float64{"jobs_total": 6, "other_total": 10}, after)
			_, err := Compact(t.Context(), dir, CompactOptions{DropFamilies: []string{"jobs"}})
			require.NoError(t, err)
		}
		compactDir(t, dir)
		require.Equal(t, want, gather(t, warm))
		require.Equal(t, []string{mpm.ArchiveName}, names(t, dir))
	}
}
