package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/registry"
)

// TestProcessMetricsOfGunicorn: each living gunicorn worker has process metrics. A process
// that merely has the pid of a dead worker has none.
func TestProcessMetricsOfGunicorn(t *testing.T) {
	f := newFleet(t)
	f.start(gunicornOf(ownHook, "app", ""))
	f.load(func(int64) bool { return len(f.workers()) < 4 }, func(int) {})
	// This test process has the pid of a dead worker, and only reads its file.
	content, err := os.ReadFile(filepath.Join(f.dir, "counter_"+strconv.Itoa(f.workers()[0])+".db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "counter_"+strconv.Itoa(os.Getpid())+".db"), content, 0o600))

	view := registry.Directory(f.open())
	shown := func() map[int]float64 {
		families, err := view.Gather(t.Context())
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, exposition.Encode(&b, families, exposition.Options{}))
		out := map[int]float64{}
		for _, s := range vectorOf(t, b.Bytes(), "process_resident_memory_bytes") {
			pid, err := strconv.Atoi(string(s.Metric["pid"]))
			require.NoError(t, err)
			out[pid] = float64(s.Value)
		}
		return out
	}
	got := shown()
	for _, pid := range f.workers() {
		require.Greater(t, got[pid], 1e6, "worker %d of %v", pid, f.workers())
	}
	require.NotContains(t, got, os.Getpid())
	t.Logf("workers %v, shown %v", f.workers(), got)

	victim := f.workers()[0]
	require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
	eventually(t, "the killed worker's process metrics leave", func() bool {
		_, there := shown()[victim]
		return !there
	})
}
