package aggregate

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
)

// TestRestoredFilesCountOnce: files that were compacted come back from a backup, in the
// presence of readers that know the directory and of new ones.
func TestRestoredFilesCountOnce(t *testing.T) {
	dir := t.TempDir()
	first := dead(t, dir, "first", 1, 1)
	backup, err := os.ReadFile(first)
	require.NoError(t, err)
	compactDir(t, dir)
	warm := openDir(t, dir, Options{})
	require.EqualValues(t, 1, gather(t, warm)["c_total"])

	want := 1.0
	restore := func() { require.NoError(t, os.WriteFile(first, backup, 0o600)) }
	for round := range 4 {
		dead(t, dir, strconv.Itoa(round), int64(2+round), 10)
		want += 10
		compactDir(t, dir) // the archive is another one since
		restore()
		for _, a := range []*Aggregator{warm, openDir(t, dir, Options{})} {
			for range 2 {
				got := gather(t, a)
				require.Equal(t, want, got["c_total"])
				require.EqualValues(t, 1, got[`multiprom_files{state="consumed"}`])
				require.Equal(t, map[string]inspect.FileState{filepath.Base(first): inspect.Consumed}, states(a))
			}
		}
		// While it is there it is known, and nobody touches it.
		for range 2 {
			r := compactDir(t, dir)
			require.Empty(t, r.Compacted)
			require.Len(t, r.Left, 1)
			require.ErrorIs(t, r.Left[0].Reason, inspect.ErrConsumed)
			require.FileExists(t, first)
		}
		if round%2 == 1 {
			require.NoError(t, os.Remove(first))
			got := gather(t, warm)
			require.Equal(t, want, got["c_total"])
			require.Zero(t, got[`multiprom_files{state="consumed"}`])
		}
	}

	// A wipe removes it too, and what it discards does not come back.
	restore()
	_, err = Wipe(dir, false)
	require.NoError(t, err)
	require.NoFileExists(t, first)
	require.Empty(t, gather(t, warm)["c_total"])
	restore()
	require.Empty(t, gather(t, warm)["c_total"])
	r := compactDir(t, dir)
	require.Equal(t, []string{filepath.Base(first)}, r.Removed, "it was to be removed, and there was no archive since")
}

// TestConsumedAreForgottenOneDay: the archive does not grow with all who ever died.
func TestConsumedAreForgottenOneDay(t *testing.T) {
	a := &mpm.Archive{}
	write := func(remove, back []mpm.Incarnation) {
		next := &mpm.Archive{ArchiveVersion: mpm.ArchiveVersion{Generation: a.Generation + 1}}
		next.Consume(a, remove, back)
		a = next
	}
	inc := func(i int) mpm.Incarnation { return mpm.Incarnation{byte(i), byte(i >> 8), 1} }
	const batch = 100
	kept := inc(0)
	for i := range 50 {
		var remove, back []mpm.Incarnation
		for j := range batch {
			remove = append(remove, inc(i*batch+j))
		}
		if i > 0 {
			back = append(back, kept) // its file is there
		}
		write(remove, back)
		require.LessOrEqual(t, len(a.Consumed), mpm.KeepConsumed+batch+1)
		for _, one := range remove {
			require.True(t, a.HasConsumed(one))
			require.False(t, a.Restored(one), "it may not be removed yet")
		}
		require.True(t, a.HasConsumed(kept))
		require.Equal(t, i > 0, a.Restored(kept))
	}
	require.True(t, a.Restored(inc(49*batch-1)), "the newest of those that are gone")
	require.True(t, a.Restored(inc(39*batch)))
	require.False(t, a.HasConsumed(inc(39*batch-1)))
	write([]mpm.Incarnation{kept}, nil)
	require.False(t, a.Restored(kept), "it is to be removed again")
}
