package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Readers and compactors on filesystems that are read-only, full, or without trusted locks.

// leave writes the file of a dead process into dir, with that many counters and one live
// gauge, and returns its name.
func leave(t *testing.T, dir string, series int) string {
	t.Helper()
	s, err := mpm.Create(t.TempDir(), mpm.Options{})
	require.NoError(t, err)
	f, err := s.AddSchema(&metric.Schema{Name: "left", Help: "Left.", Type: metric.Counter, Labels: []string{"n"}})
	require.NoError(t, err)
	for i := range series {
		c, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
		require.NoError(t, err)
		c.Words()[mpm.CellCounterInts] = uint64(i + 1)
	}
	f, err = s.AddSchema(&metric.Schema{Name: "living", Help: "Living.", Type: metric.Gauge, Mode: metric.ModeLiveSum})
	require.NoError(t, err)
	_, err = s.AddSeries(f, nil, nil)
	require.NoError(t, err)
	b, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	name := filepath.Base(s.Path())
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	return name
}

func compact(t *testing.T, dir string, opts aggregate.CompactOptions) (*aggregate.CompactResult, error) {
	return aggregate.Compact(t.Context(), dir, opts)
}

// contents returns the bytes of all files.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() {
			continue // ext4's lost+found
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		out[e.Name()] = string(b)
	}
	return out
}

// sameBytes is require.Equal without megabytes of differences.
func sameBytes(t *testing.T, want, got map[string]string) {
	t.Helper()
	require.Len(t, got, len(want))
	for name, b := range want {
		require.True(t, got[name] == b, "%s has changed", name)
	}
}

// merged returns the counts that a new reader sees.
func merged(t *testing.T, dir string) map[string]float64 {
	t.Helper()
	out := samples(t, open(t, dir))
	for key := range out {
		if strings.HasPrefix(key, "multiprom_") {
			delete(out, key)
		}
	}
	return out
}

// TestReadOnlyFilesystem: a read-only filesystem is read but not compacted.
func TestReadOnlyFilesystem(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	mountTmpfs(t, dir)
	leave(t, dir, 3)
	_, err := compact(t, dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	leave(t, dir, 5)
	before, files := merged(t, dir), contents(t, dir)
	require.EqualValues(t, 2, before[`left_total{n="0"}`])

	command(t, "mount", "-o", "remount,ro", dir)
	_, err = compact(t, dir, aggregate.CompactOptions{})
	require.ErrorIs(t, err, syscall.EROFS)
	require.ErrorContains(t, err, dir)
	_, err = aggregate.Wipe(dir, true)
	require.ErrorIs(t, err, syscall.EROFS)
	sameBytes(t, files, contents(t, dir))
	require.Equal(t, before, merged(t, dir))
	r, err := compact(t, dir, aggregate.CompactOptions{DryRun: true})
	require.NoError(t, err)
	require.Len(t, r.Compacted, 1, "what it would do can be asked all the same")

	command(t, "mount", "-o", "remount,rw", dir)
	r, err = compact(t, dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	require.Len(t, r.Compacted, 1)
	require.Equal(t, before, merged(t, dir))
}

// TestReadOnlyMountBesideWorkers: a sidecar with a read-only mount sees which processes are
// alive but cannot compact.
func TestReadOnlyMountBesideWorkers(t *testing.T) {
	needRoot(t)
	dir, sidecar := t.TempDir(), t.TempDir()
	mount(t, sidecar, "--bind", dir)
	command(t, "mount", "-o", "remount,bind,ro", sidecar)
	h := start(t, "recycled", dir)
	h.expect(t, "done")
	leave(t, dir, 2)
	a := open(t, sidecar)
	got := samples(t, a)
	require.EqualValues(t, 1, got[`multiprom_processes{state="live"}`])
	require.EqualValues(t, 1, got[`multiprom_processes{state="dead"}`])
	_, err := compact(t, sidecar, aggregate.CompactOptions{})
	require.ErrorIs(t, err, syscall.EROFS)
	h.kill()
	eventually(t, "the killed worker counts as dead", func() bool {
		got = samples(t, a)
		return got[`multiprom_processes{state="dead"}`] == 2
	})
	r, err := compact(t, dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	require.Len(t, r.Compacted, 2)
	after := samples(t, a)
	require.EqualValues(t, 2, after["multiprom_compacted_processes_total"])
	for key, v := range got {
		if !strings.HasPrefix(key, "multiprom_") {
			require.Equal(t, v, after[key], key)
		}
	}
}

// TestFullWhileCompacting: the new archive does not fit, and the dead processes' files have
// no unused space. Their counts stay, and compaction succeeds as soon as there is space.
func TestFullWhileCompacting(t *testing.T) {
	needRoot(t)
	for _, fs := range []struct {
		name  string
		mount func(t *testing.T, dir string)
	}{
		{"tmpfs", mountTmpfs},
		{"ext4", mountExt4},
	} {
		for _, pages := range []int64{0, 2} { // free on the filesystem
			t.Run(fmt.Sprintf("%s-%d", fs.name, pages), func(t *testing.T) {
				dir := t.TempDir()
				fs.mount(t, dir)
				leave(t, dir, 3)
				_, err := compact(t, dir, aggregate.CompactOptions{})
				require.NoError(t, err)
				leave(t, dir, 1000) // an archive of about 10 pages
				leave(t, dir, 10)
				before := merged(t, dir)
				require.EqualValues(t, 3, before[`left_total{n="0"}`])
				warm := open(t, dir)
				samples(t, warm)

				trim(t, dir)
				filler := fill(t, dir)
				info, err := os.Stat(filler)
				require.NoError(t, err)
				require.NoError(t, os.Truncate(filler, info.Size()-pages*4096))
				files := contents(t, dir)
				for range 2 {
					_, err = compact(t, dir, aggregate.CompactOptions{})
					require.ErrorIs(t, err, mpm.ErrFull)
					require.ErrorIs(t, err, syscall.ENOSPC)
					require.ErrorContains(t, err, dir)
					require.Equal(t, before, merged(t, dir))
					switch dead := samples(t, warm)[`multiprom_processes{state="dead"}`]; dead {
					case 2:
						sameBytes(t, files, contents(t, dir))
						require.False(t, fs.name == "tmpfs" && pages == 2, "the small one fits")
					case 1:
						require.False(t, fs.name == "tmpfs" && pages == 0)
					default:
						t.Fatalf("%v are dead", dead)
					}
				}
				require.NoError(t, os.Remove(filler))
				_, err = compact(t, dir, aggregate.CompactOptions{})
				require.NoError(t, err)
				require.Zero(t, samples(t, warm)[`multiprom_processes{state="dead"}`])
				require.Len(t, contents(t, dir), len(files)-3, "two compacted, the filler removed")
				require.Equal(t, before, merged(t, dir))
			})
		}
	}
}

// trim cuts off the unused space in the files of dead processes.
func trim(t *testing.T, dir string) {
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

// fill takes all space of a filesystem.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "filler")
	f, err := os.Create(path)
	require.NoError(t, err)
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, errors.Join(f.Sync(), f.Close()))
	return path
}

// TestFilesystemWithoutTrustedLocks reads a file on a filesystem whose locks are not
// trusted. Although the file's header names a lock, its process counts as alive and is not
// compacted.
func TestFilesystemWithoutTrustedLocks(t *testing.T) {
	needRoot(t)
	mksquashfs := needCommand(t, "mksquashfs")
	dir, content := t.TempDir(), t.TempDir()
	leave(t, content, 2)
	image := filepath.Join(t.TempDir(), "image")
	command(t, mksquashfs, content, image, "-quiet", "-no-progress")
	mount(t, dir, "-t", "squashfs", "-o", "loop", image)
	require.NotContains(t, merged(t, content), "living", "by a lock that can be trusted it is dead")
	require.Contains(t, merged(t, dir), "living")
	got := samples(t, open(t, dir))
	require.EqualValues(t, 1, got[`multiprom_processes{state="live"}`])
	require.EqualValues(t, 2, got[`left_total{n="1"}`])
	for _, marked := range []bool{false, true} {
		r, err := compact(t, dir, aggregate.CompactOptions{DryRun: true, Marked: marked})
		require.NoError(t, err)
		require.Empty(t, r.Compacted)
		require.Equal(t, 1, r.Living)
	}
	r, err := compact(t, dir, aggregate.CompactOptions{})
	require.NoError(t, err, "there is nothing to write")
	require.Empty(t, r.Compacted)
}
