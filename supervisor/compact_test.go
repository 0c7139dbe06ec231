package supervisor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// leaveBehind puts a file into dir that has counted 7, of a process of an earlier boot
// with this process's PID.
func leaveBehind(t *testing.T, dir string) {
	t.Helper()
	elsewhere := t.TempDir()
	s, err := mpm.Create(elsewhere, mpm.Options{Identity: func() mpm.Identity {
		return mpm.Identity{PID: os.Getpid(), StartTime: 1, BootID: [16]byte{1}}
	}})
	require.NoError(t, err)
	f, err := s.AddSchema(&metric.Schema{Name: "earlier", Help: "E.", Type: metric.Counter})
	require.NoError(t, err)
	one, err := s.AddSeries(f, nil, nil)
	require.NoError(t, err)
	one.Words()[mpm.CellCounterInts] = 7
	b, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	// A copy has no lock.
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(s.Path())), b, 0o600))
}

func merged(t *testing.T, dir, name string) float64 {
	t.Helper()
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	for _, f := range families {
		if f.Name == name {
			return f.Series[0].Value
		}
	}
	return 0
}

func TestOnStart(t *testing.T) {
	for _, c := range []struct {
		word  string
		value float64
		files int // without those of the workers
		err   error
	}{
		{"compact", 7, 1, nil},
		{"wipe", 0, 1, nil},
		{"refuse", 7, 1, ErrNotEmpty},
	} {
		t.Run(c.word, func(t *testing.T) {
			dir := t.TempDir()
			leaveBehind(t, dir)
			var onStart OnStart
			require.NoError(t, onStart.UnmarshalText([]byte(c.word)))
			require.Equal(t, c.word, onStart.String())
			t.Setenv(envDir, "") // New sets it
			s, err := New(Options{Workers: 1, Dir: dir, Command: "true", OnStart: onStart})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // it ends as soon as it has started
			require.ErrorIs(t, s.Run(ctx), c.err)
			require.Equal(t, c.value, merged(t, dir, "earlier"))
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return e.Name() == mpm.StagedName }) // room
			require.Len(t, entries, c.files)
		})
	}
	err := new(OnStart).UnmarshalText([]byte("forget"))
	require.ErrorIs(t, err, errOptions)
	require.ErrorContains(t, err, `"forget"`)
}

// TestWipeAtTheStartNeedsAnEmptyHouse: a process of another run still lives.
func TestWipeAtTheStartNeedsAnEmptyHouse(t *testing.T) {
	dir := t.TempDir()
	_, err := mpm.Create(dir, mpm.Options{})
	require.NoError(t, err)
	t.Setenv(envDir, "") // New sets it
	s, err := New(Options{Workers: 1, Dir: dir, Command: "true", OnStart: OnStartWipe})
	require.NoError(t, err)
	require.ErrorIs(t, s.Run(t.Context()), aggregate.ErrInUse)
}

// TestWipeAtStartWaits: another compaction that runs briefly does not keep the
// supervisor from starting.
func TestWipeAtStartWaits(t *testing.T) {
	dir := t.TempDir()
	leaveBehind(t, dir)
	t.Setenv(envDir, "") // New sets it
	s, err := New(Options{Workers: 1, Dir: dir, Command: "true", OnStart: OnStartWipe})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	other := flock.New(dir, flock.SetFlag(os.O_RDONLY))
	locked, err := other.TryLock()
	require.NoError(t, err)
	require.True(t, locked)
	done := make(chan error, 1)
	go func() { done <- s.prepareDir(t.Context()) }()
	tried := time.NewTimer(100 * time.Millisecond)
	select {
	case err := <-done:
		t.Fatal("it did not wait: ", err)
	case <-tried.C:
	}
	require.NoError(t, other.Close())
	require.NoError(t, <-done)
	require.Zero(t, merged(t, dir, "earlier"))

	// If its turn does not come, the error says so.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	locked, err = other.TryLock()
	require.NoError(t, err)
	require.True(t, locked)
	defer other.Close()
	require.ErrorIs(t, s.prepareDir(ctx), aggregate.ErrBusy)
}
