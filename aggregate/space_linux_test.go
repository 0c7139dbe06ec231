package aggregate

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/multiprom/multiprom/internal/mpm"
)

const mebibyte = 1 << 20

// smallTmpfs mounts a tmpfs of that size.
func smallTmpfs(t *testing.T, bytes int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+strconv.Itoa(bytes)); err != nil {
		t.Skipf("only root can mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH))
	})
	return dir
}

// room returns how many bytes are free.
func room(t *testing.T, dir string) int {
	t.Helper()
	var st unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &st))
	return int(st.Bavail) * int(st.Bsize)
}

// fill takes all room but that many bytes.
func fill(t *testing.T, dir string, but int) (path string) {
	t.Helper()
	path = filepath.Join(dir, "filler")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	if n := room(t, dir) - but; n > 0 {
		require.NoError(t, unix.Fallocate(int(f.Fd()), 0, 0, int64(n)))
	}
	require.Equal(t, but, room(t, dir))
	return path
}

// deadWithMany leaves a dead process in dir that has counted 1 in c, and has that
// many series of its own.
func deadWithMany(t testing.TB, dir, own string, series int) (path string) {
	t.Helper()
	p := newProcess(t, t.TempDir(), own, 1)
	p.count(counter("c"), 1)
	f, err := p.AddSchema(counter("many", "l"))
	require.NoError(t, err)
	for i := range series {
		s, err := p.AddSeries(f, []string{fmt.Sprintf("%s_%d", own, i)}, nil)
		require.NoError(t, err)
		s.Words()[mpm.CellCounterInts] = 1
	}
	path = die(t, p.Store, dir)
	require.NoError(t, os.Remove(p.Path()))
	return path
}

// trimAll takes the room that dead files have left, so that nobody finds any there.
func trimAll(t *testing.T, dir string) {
	t.Helper()
	d, err := mpm.OpenDir(dir)
	require.NoError(t, err)
	defer d.Close()
	entries, err := d.Entries()
	require.NoError(t, err)
	for _, e := range entries {
		if e.Kind == mpm.KindNative {
			_, err := d.Trim(e.Name, mpm.ReadOptions{})
			require.NoError(t, err)
		}
	}
}

// TestFullOfDeadWorkers: eight workers have died in a tmpfs of 1 MiB, whose files have
// taken all of it.
func TestFullOfDeadWorkers(t *testing.T) {
	for name, work := range map[string]func(dir string) error{
		"compact":    func(dir string) error { _, err := Compact(t.Context(), dir, CompactOptions{}); return err },
		"reserve":    func(dir string) error { _, err := Compact(t.Context(), dir, CompactOptions{Reserve: true}); return err },
		"wipe":       func(dir string) error { _, err := Wipe(dir, false); return err },
		"force wipe": func(dir string) error { _, err := Wipe(dir, true); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := smallTmpfs(t, mebibyte)
			for i := range 8 {
				dead(t, dir, strconv.Itoa(i), int64(i), 5)
			}
			fill(t, dir, 0)
			warm := openDir(t, dir, Options{})
			require.EqualValues(t, 40, gather(t, warm)["c_total"])
			require.NoError(t, work(dir))
			want := 40
			if name == "wipe" || name == "force wipe" {
				want = 0
			}
			require.EqualValues(t, want, gather(t, warm)["c_total"])
			require.EqualValues(t, want, gather(t, openDir(t, dir, Options{}))["c_total"])
			require.Greater(t, room(t, dir), mebibyte/2)
		})
	}
}

// TestFullWithoutSlack: the dead have used every page that they have, and there is no
// other.
func TestFullWithoutSlack(t *testing.T) {
	build := func(t *testing.T, but int) (dir string) {
		dir = smallTmpfs(t, mebibyte)
		deadWithMany(t, dir, "large", 2000)
		for i := range 6 {
			deadWithMany(t, dir, "small", 5+i)
		}
		trimAll(t, dir)
		fill(t, dir, but)
		return dir
	}
	opts := Options{NoSelfMetrics: true}
	t.Run("compact", func(t *testing.T) {
		dir := build(t, 0)
		before, files := view(t, openDir(t, dir, opts)), names(t, dir)
		for range 2 {
			_, err := Compact(t.Context(), dir, CompactOptions{})
			require.ErrorIs(t, err, mpm.ErrFull)
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorContains(t, err, "`mpctl wipe`")
			require.Equal(t, before, view(t, openDir(t, dir, opts)))
			require.Equal(t, files, names(t, dir))
		}
	})
	t.Run("compact in steps", func(t *testing.T) {
		// The large one's archive takes about 32 pages, a small one's one.
		dir := build(t, 24*4096)
		before := view(t, openDir(t, dir, opts))
		r, err := Compact(t.Context(), dir, CompactOptions{})
		require.NoError(t, err)
		require.Len(t, r.Compacted, 7)
		require.Equal(t, 7, r.Processes)
		require.Equal(t, before, view(t, openDir(t, dir, opts)))
		got := gather(t, openDir(t, dir, Options{}))
		require.Greater(t, got["multiprom_compactions_total"], 1.0)
		require.EqualValues(t, 7, got["multiprom_compacted_processes_total"])
		require.Equal(t, []string{mpm.ArchiveName, "filler"}, names(t, dir))
	})
	t.Run("wipe", func(t *testing.T) {
		dir := build(t, 0)
		warm := openDir(t, dir, opts)
		require.EqualValues(t, 7, gather(t, warm)["c_total"])
		removed, err := Wipe(dir, false)
		require.NoError(t, err)
		require.Len(t, removed, 7)
		require.Empty(t, gather(t, warm))
		require.Equal(t, []string{mpm.ArchiveName, "filler"}, names(t, dir))
	})
	t.Run("wipe of the archive alone", func(t *testing.T) {
		dir := smallTmpfs(t, mebibyte)
		deadWithMany(t, dir, "a", 10)
		compactDir(t, dir)
		fill(t, dir, 0)
		warm := openDir(t, dir, opts)
		require.EqualValues(t, 1, gather(t, warm)["c_total"])
		_, err := Wipe(dir, false)
		require.NoError(t, err)
		require.Empty(t, gather(t, warm))
		require.Empty(t, gather(t, openDir(t, dir, opts)))
		require.Equal(t, []string{"filler"}, names(t, dir))
	})
}

// TestCrashLoopDoesNotWedge: workers die until there is no room for another, over and
// over; a compaction with a reserve always gets through, and always counts each once.
func TestCrashLoopDoesNotWedge(t *testing.T) {
	dir := smallTmpfs(t, 2*mebibyte)
	live := newProcess(t, dir, "live", 1) // what it takes tells how large a file gets
	live.count(counter("c"), 1)
	f, err := live.AddSchema(counter("many", "l"))
	require.NoError(t, err)
	for i := range 1500 {
		_, err := live.AddSeries(f, []string{"slot_" + strconv.Itoa(i)}, nil)
		require.NoError(t, err)
	}
	elsewhere := t.TempDir()
	one, err := os.ReadFile(deadWithMany(t, elsewhere, "slot", 1500))
	require.NoError(t, err)
	want := 1
	for round := range 30 {
		r, err := Compact(t.Context(), dir, CompactOptions{Reserve: true})
		require.NoError(t, err, "round %d", round)
		require.Empty(t, r.Left)
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "filler")))
		require.EqualValues(t, want, gather(t, openDir(t, dir, Options{}))["c_total"])
		for i := 0; ; i++ {
			b := append([]byte(nil), one...)
			inc := mpm.Incarnation{byte(round), byte(i), 7}
			mend(b, i+1, inc)
			h := mpm.Header{PID: i + 1, Incarnation: inc}
			path := filepath.Join(dir, h.FileName())
			if err := os.WriteFile(path+"~", b, 0o600); err != nil {
				require.ErrorIs(t, err, syscall.ENOSPC)
				require.NoError(t, os.Remove(path+"~"))
				break
			}
			require.NoError(t, os.Rename(path+"~", path))
			want++
		}
		trimAll(t, dir) // no room is to be found there
		fill(t, dir, 0)
	}
	require.Greater(t, want, 100)
}

// TestKilledAtEveryStepWhenFull kills compactors and wipers at each step in a full
// filesystem, beside readers.
func TestKilledAtEveryStepWhenFull(t *testing.T) {
	for _, slack := range []bool{true, false} {
		build := func(t *testing.T) *traffic {
			w := newTraffic(t)
			w.dir = smallTmpfs(t, mebibyte)
			w.dead(1000)
			runCompactor(t, w.dir, 0)
			d, err := mpm.OpenDir(w.dir)
			require.NoError(t, err)
			require.NoError(t, d.RemoveReserve(mpm.ReadOptions{}))
			require.NoError(t, d.Close())
			w.live(1)
			for range 3 {
				w.dead(10)
			}
			if !slack {
				trimAll(t, w.dir)
			}
			fill(t, w.dir, 0)
			return w
		}
		settle := func(t *testing.T, w *traffic) {
			require.NoError(t, os.Remove(filepath.Join(w.dir, "filler")))
			w.dead(100)
			runCompactor(t, w.dir, 0)
		}
		if slack {
			for step := 0; ; step++ {
				w := build(t)
				var steps []string
				w.watched(func() {
					steps = runCompactor(t, w.dir, step+1)
					w.settled()
					settle(t, w)
					w.settled()
				})
				require.Len(t, names(t, w.dir), w.living+2)
				if len(steps) <= step {
					require.Contains(t, steps, "trimmed")
					break
				}
			}
		}
		for step := 0; ; step++ {
			w := build(t)
			warm := openDir(t, w.dir, Options{})
			require.EqualValues(t, 1031, gather(t, warm)["c_total"])
			steps := runRole(t, "wiper", w.dir, step+1)
			got := gather(t, warm)["c_total"]
			require.Equal(t, got, gather(t, openDir(t, w.dir, Options{}))["c_total"])
			if slack {
				require.Contains(t, []float64{1031, 1}, got, "all or nothing")
			} else {
				require.Contains(t, []float64{1031, 1021, 1011, 1001, 1}, got)
			}
			runRole(t, "wiper", w.dir, 0)
			require.EqualValues(t, 1, gather(t, warm)["c_total"])
			require.NoError(t, os.Remove(filepath.Join(w.dir, "filler")))
			w.dead(5)
			runCompactor(t, w.dir, 0)
			require.EqualValues(t, 6, gather(t, warm)["c_total"])
			require.EqualValues(t, 6, gather(t, openDir(t, w.dir, Options{}))["h_count"])
			if len(steps) <= step {
				require.Contains(t, steps, "trimmed")
				require.Equal(t, !slack, slices.Contains(steps, "discarded"))
				break
			}
		}
	}
}
