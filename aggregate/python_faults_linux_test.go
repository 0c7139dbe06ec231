package aggregate

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/pyfiletest"
)

// mapAtMost has so many files of client_python stay mapped between scrapes.
func mapAtMost(t *testing.T, n int) {
	was := snapshot.MaxMapped
	snapshot.MaxMapped = n
	t.Cleanup(func() { snapshot.MaxMapped = was })
}

// TestPythonFileReplaced: an application starts again in a directory that was
// cleared, and its files get the names, even the inodes, of the old ones.
func TestPythonFileReplaced(t *testing.T) {
	histogram := func(bound string, n float64) []pyfiletest.Sample {
		return []pyfiletest.Sample{
			pySample("h", "h_sum", "", n, 0),
			pySample("h", "h_bucket", `"le": "`+bound+`"`, n, 0), pySample("h", "h_bucket", `"le": "+Inf"`, 1, 0),
		}
	}
	a, b := pySample("a", "a", "", 1, 0), pySample("b", "b", "", 20, 0)
	for _, test := range []struct {
		name     string
		old, now []pyfiletest.Sample
	}{
		{"counter_7.db", []pyfiletest.Sample{a}, []pyfiletest.Sample{b}},
		{"counter_7.db", []pyfiletest.Sample{a, b}, []pyfiletest.Sample{b, a}},
		{"counter_7.db", []pyfiletest.Sample{a, b}, []pyfiletest.Sample{a}},
		{"gauge_all_7.db", []pyfiletest.Sample{a}, []pyfiletest.Sample{b}},
		{"histogram_7.db", histogram("1.0", 1), histogram("2.0", 10)},
	} {
		for _, mapped := range []int{snapshot.MaxMapped, 0} {
			t.Run(fmt.Sprintf("%s %d", test.name, mapped), func(t *testing.T) {
				mapAtMost(t, mapped)
				dir := t.TempDir()
				writePython(t, dir, test.name, test.old...)
				warm := openDir(t, dir, Options{NoSelfMetrics: true})
				gather(t, warm)
				require.NoError(t, os.Remove(filepath.Join(dir, test.name)))
				writePython(t, dir, test.name, test.now...)
				for range 2 {
					require.Equal(t, gather(t, openDir(t, dir, Options{NoSelfMetrics: true})), gather(t, warm))
				}
			})
		}
	}
}

// TestPythonFileCutShort: a file that had records where none can be read any more
// keeps its last good values.
func TestPythonFileCutShort(t *testing.T) {
	for _, mapped := range []int{snapshot.MaxMapped, 0} {
		for _, size := range []int64{4096, 4, 0} {
			t.Run(fmt.Sprint(mapped, size), func(t *testing.T) {
				mapAtMost(t, mapped)
				dir := t.TempDir()
				var samples []pyfiletest.Sample
				for i := range 200 {
					samples = append(samples, pySample("c", "c", fmt.Sprintf(`"l": "%d"`, i), 1, 0))
				}
				writePython(t, dir, "counter_7.db", samples...)
				warm := openDir(t, dir, Options{})
				require.EqualValues(t, 1, gather(t, warm)[`multiprom_files{state="ok"}`])
				path := filepath.Join(dir, "counter_7.db")
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				require.NoError(t, err)
				_, err = f.WriteAt(binary.NativeEndian.AppendUint32(nil, 1<<20), 0) // it is mapped again
				require.NoError(t, err)
				require.NoError(t, f.Close())
				require.NoError(t, os.Truncate(path, size))
				for range 2 {
					got := gather(t, warm)
					require.EqualValues(t, 1, got[`c_total{l="199"}`])
					require.EqualValues(t, 1, got[`multiprom_files{state="corrupt"}`])
				}
			})
		}
	}
}

// TestPythonHugeHeader: what a header promises takes no memory.
func TestPythonHugeHeader(t *testing.T) {
	dir := t.TempDir()
	b := pyfiletest.Timed.Content(pySample("c", "c", "", 1, 0))
	binary.NativeEndian.PutUint32(b, 1<<30)
	path := filepath.Join(dir, "counter_7.db")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	require.NoError(t, os.Truncate(path, 1<<30))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.EqualValues(t, 1, gather(t, openDir(t, dir, Options{}))["c_total"])
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20))
}

// TestPythonKeysAreDroppedBesideABadFile: the keys of files that are gone are
// forgotten, those of a file that cannot be read are not.
func TestPythonKeysAreDroppedBesideABadFile(t *testing.T) {
	for _, at := range []string{"before", "with"} {
		t.Run(at, func(t *testing.T) {
			dir := t.TempDir()
			writePython(t, dir, "counter_1.db", pySample("keep", "keep", "", 5, 0))
			var samples []pyfiletest.Sample
			for i := range snapshot.KeysKept + 2000 {
				samples = append(samples, pySample("c", "c", fmt.Sprintf(`"l": "%d"`, i), 1, 0))
			}
			writePython(t, dir, "counter_2.db", samples...)
			warm := openDir(t, dir, Options{NoSelfMetrics: true})
			gather(t, warm)
			require.NoError(t, os.Remove(filepath.Join(dir, "counter_2.db")))
			if at == "with" {
				gather(t, warm)
			}
			require.NoError(t, os.Truncate(filepath.Join(dir, "counter_1.db"), 0))
			for range 3 {
				require.Equal(t, map[string]float64{"keep_total": 5}, gather(t, warm))
			}
			require.Zero(t, warm.snapshot.Keys.Len())
			writePython(t, dir, "counter_1.db", pySample("keep", "keep", "", 7, 0))
			require.Equal(t, map[string]float64{"keep_total": 7}, gather(t, warm), "it was mended")
		})
	}
}

// TestCompactionPythonOddFiles: no file of one process keeps those of others from being
// compacted, and what is left alone is in the view.
func TestCompactionPythonOddFiles(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	manyBytes := pySample("c", "c", "", 1, 0)
	manyBytes.Key = `["c", "c", {}, "` + long + `"]`
	for _, test := range []struct {
		name, file string
		samples    []pyfiletest.Sample
	}{
		{"a long label", "counter_1.db", []pyfiletest.Sample{pySample("c", "c", `"q": "`+long+`"`, 1, 0)}},
		{"a long help", "counter_1.db", []pyfiletest.Sample{manyBytes}},
		{"a name that looks set aside", "counter_1.db_dead-00000000000000000000000000000000.db", []pyfiletest.Sample{pySample("c", "c", "", 1, 0)}},
		{"no bucket", "histogram_1.db", []pyfiletest.Sample{pySample("h", "h_sum", "", 5, 0)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			writePython(t, dir, test.file, test.samples...)
			writePython(t, dir, "counter_2.db", pySample("d", "d", "", 1, 0))
			writePython(t, dir, "histogram_2.db", pySample("h", "h_sum", "", 1, 0),
				pySample("h", "h_bucket", `"le": "1.0"`, 1, 0), pySample("h", "h_bucket", `"le": "+Inf"`, 0, 0))
			writePython(t, dir, "counter_3.db", pySample("d", "d", "", 1, 0))
			holdPython(t, dir, "counter_3.db")
			warm := openDir(t, dir, Options{NoSelfMetrics: true})
			want := gather(t, warm)
			r := compactPython(t, dir)
			require.Empty(t, r.Left)
			require.Len(t, r.Compacted, 3)
			compactPython(t, dir)
			require.Contains(t, names(t, dir), "counter_3.db")
			require.Equal(t, want, gather(t, warm))
			require.Equal(t, want, gather(t, openDir(t, dir, Options{NoSelfMetrics: true})))
		})
	}
}

// TestCompactionEmptyPythonFile: a process that was killed before its file had a size
// leaves nothing for ever.
func TestCompactionEmptyPythonFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"counter_1.db", "counter_2.db"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	release := holdPython(t, dir, "counter_2.db")
	warm := openDir(t, dir, Options{})
	require.EqualValues(t, 2, gather(t, warm)[`multiprom_files{state="corrupt"}`])
	r := compactPython(t, dir)
	require.Equal(t, []string{"counter_1.db"}, r.Compacted)
	require.Empty(t, r.Left)
	require.EqualValues(t, 1, gather(t, warm)[`multiprom_files{state="corrupt"}`])
	release()
	require.Equal(t, []string{"counter_2.db"}, compactPython(t, dir).Compacted)
	require.Zero(t, gather(t, warm)[`multiprom_files{state="corrupt"}`])
	require.Equal(t, []string{"archive.mpm"}, names(t, dir))
}

// TestWipePythonWithoutLeases: a user who may not ask whether a process lives wipes
// by force only.
func TestWipePythonWithoutLeases(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can have files of another user")
	}
	dir, err := os.MkdirTemp("/dev/shm", "multiprom") // which another user can enter
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o777))
	writePython(t, dir, "counter_7.db", pySample("c", "c", "", 5, 0))
	require.NoError(t, os.Chmod(filepath.Join(dir, "counter_7.db"), 0o644))
	require.NoError(t, syscall.Seteuid(65534))
	defer syscall.Seteuid(0)

	_, err = Wipe(dir, false)
	require.ErrorIs(t, err, ErrInUse)
	_, err = Compact(context.Background(), dir, CompactOptions{Python: true})
	require.NoError(t, err)
	require.Contains(t, names(t, dir), "counter_7.db")
	removed, err := Wipe(dir, true)
	require.NoError(t, err)
	require.Equal(t, []string{"counter_7.db"}, removed)
	require.Empty(t, gather(t, openDir(t, dir, Options{NoSelfMetrics: true})))
}

// TestPythonFileCutWithinItsPage: the rest of the page reads as zeros, which must
// not be taken for values.
func TestPythonFileCutWithinItsPage(t *testing.T) {
	dir := t.TempDir()
	var samples []pyfiletest.Sample
	for i := range 20 {
		samples = append(samples, pySample("c", "c", fmt.Sprintf(`"l": "%d"`, i), 5, 0))
	}
	writePython(t, dir, "counter_7.db", samples...)
	a := openDir(t, dir, Options{})
	gather(t, a)
	require.NoError(t, os.Truncate(filepath.Join(dir, "counter_7.db"), 500))
	got := gather(t, a)
	require.EqualValues(t, 5, got[`c_total{l="19"}`])
	require.EqualValues(t, 1, got[`multiprom_files{state="corrupt"}`])
}

// TestPythonFileRepaired: a file whose length in use led into a record is whole
// again, for a reader that saw it, once the length is right.
func TestPythonFileRepaired(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "counter_1.db")
	whole := pyfiletest.Timed.Content(pySample("a_total", "a_total", "", 1, 0), pySample("b_total", "b_total", "", 2, 0))
	end := binary.NativeEndian.Uint32(whole)
	damaged := slices.Clone(whole)
	binary.NativeEndian.PutUint32(damaged, end-20)
	require.NoError(t, os.WriteFile(path, damaged, 0o600))
	a := openDir(t, dir, Options{})
	for range 2 {
		got := gather(t, a)
		require.Equal(t, 1.0, got["a_total"])
		require.NotContains(t, got, "b_total")
		require.Equal(t, 1.0, got["multiprom_damaged_records"])
	}
	require.NoError(t, os.WriteFile(path, whole, 0o600))
	got := gather(t, a)
	require.Equal(t, 1.0, got["a_total"])
	require.Equal(t, 2.0, got["b_total"])
	require.Equal(t, 0.0, got["multiprom_damaged_records"])
	require.NoError(t, inspect.Files(a)[0].Err)
}
