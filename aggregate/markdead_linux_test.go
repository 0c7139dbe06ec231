package aggregate

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
)

// TestMarkPython: a client_python process that still writes is refused. Once it is
// gone, its live gauges are removed and its other files set aside.
func TestMarkPython(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"counter_7.db", "gauge_livesum_7.db", "counter_17.db", "gauge_livesum_17.db"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pyfiletest.Timed.Content(), 0o600))
	}
	writer, err := os.OpenFile(filepath.Join(dir, "counter_7.db"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer writer.Close()
	mark := func(opts MarkOptions) error {
		_, err := MarkProcessDead(t.Context(), dir, "7", opts)
		return err
	}
	require.ErrorIs(t, mark(MarkOptions{Wait: time.Millisecond}), mpm.ErrLocked)
	require.FileExists(t, filepath.Join(dir, "gauge_livesum_7.db"))
	require.NoError(t, mark(MarkOptions{Wait: time.Millisecond, Force: true}))
	require.NoFileExists(t, filepath.Join(dir, "gauge_livesum_7.db"))
	require.FileExists(t, filepath.Join(dir, "counter_7.db"), "it goes on counting")

	require.NoError(t, errors.Join(writer.Close(), mark(MarkOptions{})))
	entries, err := mpm.ScanDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3)
	require.Equal(t, "counter_17.db", entries[0].Name)
	original, inc, ok := mpm.SplitDeadName(entries[1].Name)
	require.True(t, ok)
	require.Equal(t, "counter_7.db", original)
	require.NotZero(t, inc)
	require.NoError(t, mark(MarkOptions{}), "marking twice changes nothing")
	again, err := mpm.ScanDir(dir)
	require.NoError(t, err)
	require.Equal(t, entries, again)
}
