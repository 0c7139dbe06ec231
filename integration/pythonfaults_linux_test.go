package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// TestPythonWriterWithoutFile: without a directory that it can write to, or space in it, a program works on, its values
// stay in it, and it says so once. Series that were in the file before go on there.
func TestPythonWriterWithoutFile(t *testing.T) {
	// run returns what the log says, after it has checked that the program works.
	run := func(t *testing.T, dir, how string) string {
		cmd := nativePython(t, dir, "native_faults.py", how)
		var log strings.Builder
		cmd.Stderr = &log
		out, err := cmd.Output()
		require.NoError(t, err, "%s", log.String())
		require.Equal(t, "1501.0\n", string(out))
		require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
		return log.String()
	}
	view := func(t *testing.T, dir string) map[string]float64 {
		require.Len(t, native(t, dir), 1)
		a, err := aggregate.Open(dir, aggregate.Options{})
		require.NoError(t, err)
		defer a.Close()
		return samples(t, a)
	}
	first := `c_total{n="0` + strings.Repeat("x", 200) + `"}`
	nothing := func(t *testing.T, dir string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries, "no temporary file is left")
	}
	t.Run("a missing directory", func(t *testing.T) {
		require.Contains(t, run(t, filepath.Join(t.TempDir(), "missing"), ""), "metrics stay in this process")
	})
	t.Run("a file in its place", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.Contains(t, run(t, file, ""), "metrics stay in this process")
	})
	t.Run("a read-only filesystem", func(t *testing.T) {
		needRoot(t)
		dir := t.TempDir()
		mount(t, dir, "-t", "tmpfs", "-o", "ro", "tmpfs")
		require.Contains(t, run(t, dir, ""), "Read-only file system")
	})
	t.Run("a directory of somebody else", func(t *testing.T) {
		needRoot(t)
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o555))
		require.Contains(t, run(t, dir, "as nobody"), "Permission denied")
		nothing(t, dir)
	})
	for name, option := range map[string]string{"no inode": "nr_inodes=1", "no space for a file": "size=16k"} {
		t.Run(name, func(t *testing.T) {
			needRoot(t)
			dir := t.TempDir()
			mount(t, dir, "-t", "tmpfs", "-o", option, "tmpfs")
			require.Contains(t, run(t, dir, ""), "No space left on device")
			nothing(t, dir)
		})
	}
	t.Run("a full filesystem", func(t *testing.T) {
		needRoot(t)
		dir := t.TempDir()
		mount(t, dir, "-t", "tmpfs", "-o", "size=256k", "tmpfs")
		require.Contains(t, run(t, dir, ""), "has no space")
		got := view(t, dir)
		require.EqualValues(t, 2, got[first])
		require.Positive(t, got["multiprom_fallback_series_total"])
		require.EqualValues(t, 1500, got["multiprom_fallback_series_total"]+float64(countPrefix(got, "c_total{")))
	})
	t.Run("the directory is removed", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "metrics")
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.Contains(t, run(t, dir, "removed"), "was deleted: no reader sees")
		require.NoDirExists(t, dir)
	})
	t.Run("all descriptors are closed", func(t *testing.T) {
		dir := t.TempDir()
		require.Contains(t, run(t, dir, "closes"), "a line of the program's own")
		require.EqualValues(t, 1500, countPrefix(view(t, dir), "c_total{"))
	})
	t.Run("all are closed, and the directory is removed", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "metrics")
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.Contains(t, run(t, dir, "closes removed"), "has no space")
	})
}
