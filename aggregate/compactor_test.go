package aggregate

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
)

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func runInBackground(t *testing.T, f *Compactor) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { f.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

func TestCompactorWakesForDeaths(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	f, err := NewCompactor(dir, CompactorOptions{CompactOptions: CompactOptions{Threshold: 3}, Period: time.Hour})
	require.NoError(t, err)
	runInBackground(t, f)
	// The first pass ends with room for the archive. Files that it took would not wake the next one.
	require.Eventually(t, func() bool { return slices.Contains(names(t, dir), mpm.StagedName) }, 10*time.Second, time.Millisecond)
	for round := range 5 {
		for i := range 3 {
			p := newProcess(t, elsewhere, strconv.Itoa(i), 1)
			p.count(counter("c"), 1)
			die(t, p.Store, dir)
			f.Died()
		}
		require.Eventually(t, func() bool { return len(names(t, dir)) == 2 }, 10*time.Second, time.Millisecond)
		require.EqualValues(t, 3*(round+1), gather(t, openDir(t, dir, Options{}))["c_total"])
	}
}

func TestCompactorWorksByPeriodAndTellsOnce(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	var log lockedBuffer
	f, err := NewCompactor(dir, CompactorOptions{
		CompactOptions: CompactOptions{Threshold: 1}, Period: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	p := newProcess(t, elsewhere, "damaged", 1)
	p.count(counter("c"), 1)
	damaged := die(t, p.Store, dir)
	require.NoError(t, os.Truncate(damaged, 100))
	runInBackground(t, f)
	for i := range 5 {
		p := newProcess(t, elsewhere, strconv.Itoa(i), 1)
		p.count(counter("c"), 1)
		path := die(t, p.Store, dir)
		require.Eventually(t, func() bool {
			_, err := os.Stat(path)
			return os.IsNotExist(err)
		}, 10*time.Second, time.Millisecond)
	}
	require.FileExists(t, damaged)
	require.Equal(t, 1, bytes.Count([]byte(log.String()), []byte("level=WARN")), log.String())
	require.Contains(t, log.String(), "a dead process's file is left alone")

	require.NoError(t, os.WriteFile(dir+"/"+mpm.ArchiveName, []byte("torn"), 0o600))
	require.Eventually(t, func() bool {
		return bytes.Contains([]byte(log.String()), []byte("are not compacted"))
	}, 10*time.Second, time.Millisecond)
}
