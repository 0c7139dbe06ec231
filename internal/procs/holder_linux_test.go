package procs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/edsrzf/mmap-go"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/procs"
)

// TestFindWorker: a process is the worker whose pid it has if it has one of the worker's
// files, by whatever name it knows it, and not if it has only a file of that name.
func TestFindWorker(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "counter_7.db"), filepath.Join(dir, "gauge_all_7.db")
	for _, p := range []string{path, other} {
		require.NoError(t, os.WriteFile(p, []byte("12345678"), 0o600))
	}
	find := func(pid int, files ...string) bool {
		w, ok := procs.FindWorker(pid, "seven", files...)
		if ok {
			require.Equal(t, pid, w.PID)
			require.Equal(t, "seven", w.Label)
			// It is good enough for the collector.
			c := procs.NewWorkers(procs.WorkersOptions{List: func() []procs.Worker { return []procs.Worker{w} }})
			families, err := c.Collect(t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, families)
			require.Len(t, families[0].Series, 1)
		}
		return ok
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	cmd := exec.Command("sleep", "60")
	cmd.ExtraFiles = []*os.File{f}
	require.NoError(t, cmd.Start())
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	require.NoError(t, f.Close())
	pid := cmd.Process.Pid
	require.True(t, find(pid, path))
	require.True(t, find(pid, other, path))
	require.False(t, find(pid, other))
	require.False(t, find(pid))
	require.False(t, find(os.Getpid(), path), "another process has it")
	require.False(t, find(0, path))
	require.False(t, find(-1, path))

	// It knows it by another directory's name.
	link := filepath.Join(t.TempDir(), "counter_7.db")
	require.NoError(t, os.Link(path, link))
	require.True(t, find(pid, link))
	// Another file has its name now.
	require.NoError(t, os.Remove(path))
	require.False(t, find(pid, path))
	require.NoError(t, os.WriteFile(path, []byte("12345678"), 0o600))
	require.False(t, find(pid, path))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.False(t, find(pid, link), "it is dead")

	// A reader is no worker.
	f, err = os.Open(other)
	require.NoError(t, err)
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	require.NoError(t, err)
	require.False(t, find(os.Getpid(), other))
	require.NoError(t, m.Unmap())
	require.NoError(t, f.Close())

	// A mapping is enough.
	f, err = os.OpenFile(other, os.O_RDWR, 0)
	require.NoError(t, err)
	m, err = mmap.Map(f, mmap.RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.True(t, find(os.Getpid(), other))
	require.NoError(t, m.Unmap())
	require.False(t, find(os.Getpid(), other))
}
