package registry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

func names(t *testing.T, g gather.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather(context.Background())
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for s := range f.Samples() {
			out[s.Name+s.Labels.String()] = s.Value
		}
	}
	views.Show(context.Background(), g, func(shown []views.Family, err error) {
		require.NoError(t, err)
		require.Len(t, shown, len(families))
	})
	return out
}

func TestDefaultOnTheHeap(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."})).Add(3)
	r := newDefault(set)
	got := names(t, r)
	require.EqualValues(t, 3, got["c_total"])
	require.Contains(t, got, "go_goroutines")
	require.Contains(t, got, "process_start_time_seconds")
	require.True(t, r.Unregister(r.GoRuntime))
	require.True(t, r.Unregister(r.Process))
	require.True(t, r.Unregister(r.BuildInfo))
	for name := range names(t, r) {
		require.True(t, strings.HasPrefix(name, "c_total") || strings.HasPrefix(name, "multiprom_"), name)
	}
	require.EqualValues(t, map[string]float64{"c_total": 3}, names(t, Restrict(r, "c_total")))
}

// TestDefaultIsShown: the default registry shows its instruments with layouts, by which a
// handler keeps their text.
func TestDefaultIsShown(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
		multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."})).Inc()
		t.Cleanup(func() { set.Close() })
		kept := false
		views.Show(t.Context(), newDefault(set), func(families []views.Family, err error) {
			require.NoError(t, err)
			for _, f := range families {
				kept = kept || f.Name == "c" && f.Layout != 0
			}
		})
		require.True(t, kept, "directory %q", dir)
	}
}

func TestDefaultInADirectory(t *testing.T) {
	dir := t.TempDir()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	c := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	r := newDefault(set)
	require.NotContains(t, names(t, r), "c_total", "a process that only scrapes has no file")
	c.Inc()
	got := names(t, r)
	require.EqualValues(t, 1, got["c_total"])
	require.Contains(t, got, `process_start_time_seconds{pid="`+strconv.Itoa(os.Getpid())+`"}`)
	require.NotContains(t, got, "go_goroutines")
	require.NotContains(t, got, "multiprom_store_fallback")

	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	defer a.Close()
	require.EqualValues(t, 1, names(t, Directory(a))["c_total"])
}

func TestDefaultFallsBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	c := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	r := newDefault(set)
	families, err := r.Gather(context.Background())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Empty(t, families, "without the directory there is no half view")
	c.Inc()
	families, err = r.Gather(context.Background())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NotEmpty(t, families, "once it counts on the heap, that is served beside the error")
	require.NoError(t, os.Mkdir(dir, 0o700))
	got := names(t, r)
	require.EqualValues(t, 1, got["c_total"])
	require.EqualValues(t, 1, got["multiprom_store_fallback"])
}

// TestDefaultAfterDeletion: a process whose file somebody deleted shows its own
// values.
func TestDefaultAfterDeletion(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows does not delete a file that is open")
	}
	now := time.Now()
	set := multiproc.NewSet(multiproc.SetOptions{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	})
	multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."})).Inc()
	r := newDefault(set)
	require.EqualValues(t, 1, names(t, r)["c_total"])
	require.NoError(t, os.Remove(access.Store(set).Path()))
	now = now.Add(time.Minute)
	got := names(t, r)
	require.EqualValues(t, 1, got["c_total"])
	require.EqualValues(t, 1, got["multiprom_store_fallback"])
}

// TestDefaultFollowsTheEnvironment: a package-level handler is made before main sets
// the variable.
func TestDefaultFollowsTheEnvironment(t *testing.T) {
	t.Setenv(multiproc.EnvDir, "")
	r := newDefault(multiproc.Default())
	c := multiproc.NewCounter(multiproc.CounterOpts{Name: "late", Help: "C."})

	first, dir := t.TempDir(), filepath.Join(t.TempDir(), "second")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for _, d := range []string{first, dir} {
		t.Setenv(multiproc.EnvDir, d)
		other := multiproc.NewSet(multiproc.SetOptions{Dir: d, ProcessID: "other"})
		multiproc.MustNew(other.NewCounter(multiproc.CounterOpts{Name: "other", Help: "O."})).Add(float64(len(d)))
		got := names(t, r)
		require.EqualValues(t, len(d), got["other_total"])
		require.NotContains(t, got, "go_goroutines")
		require.NotContains(t, got, "late_total", "a process that only scrapes has no file")
	}
	scrapeWhileItMoves(t, r, first, dir)
	require.NoError(t, multiproc.Open())
	t.Cleanup(func() { multiproc.Default().Close() })
	c.Inc()
	require.EqualValues(t, 1, names(t, r)["late_total"])
	require.Contains(t, names(t, Restrict(r, "process_start_time_seconds")), `process_start_time_seconds{pid="`+strconv.Itoa(os.Getpid())+`"}`)

	t.Setenv(multiproc.EnvDir, first)
	require.ErrorIs(t, multiproc.Open(), multiproc.ErrTooLate)
	require.EqualValues(t, 1, names(t, r)["late_total"], "it stays where it counts")
}

// scrapeWhileItMoves has scrapes run while the variable names one directory and the
// other in turn: a view that a scrape uses must not be closed by another scrape.
func scrapeWhileItMoves(t *testing.T, r *DefaultRegistry, dirs ...string) {
	var scrapes sync.WaitGroup
	var failed atomic.Pointer[error]
	ended := make(chan struct{})
	for i := range 4 {
		scrapes.Go(func() {
			show := func(fn func([]*metric.Family, error)) { fn(r.Gather(t.Context())) }
			if i%2 == 0 {
				show = func(fn func([]*metric.Family, error)) {
					views.Show(t.Context(), r, func(families []views.Family, err error) { fn(views.Whole(families), err) })
				}
			}
			for {
				select {
				case <-ended:
					return
				default:
				}
				show(func(_ []*metric.Family, err error) {
					if err != nil {
						failed.Store(&err)
					}
				})
			}
		})
	}
	for i := range 300 {
		require.NoError(t, os.Setenv(multiproc.EnvDir, dirs[i%2]))
		names(t, r)
	}
	close(ended)
	scrapes.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
}

// TestViewsAreClosed: the view of a directory that the Set has left is closed by the last
// scrape that uses it.
func TestViewsAreClosed(t *testing.T) {
	d := &directory{set: multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})}
	first, err := d.acquire()
	require.NoError(t, err)
	again, err := d.acquire()
	require.NoError(t, err)
	require.Same(t, first, again)
	d.release(again)
	d.set = multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	second, err := d.acquire()
	require.NoError(t, err)
	require.NotSame(t, first, second)
	_, err = first.Gather(t.Context())
	require.NoError(t, err, "a scrape is using it")
	d.release(first)
	_, err = first.Gather(t.Context())
	require.ErrorIs(t, err, aggregate.ErrClosed)
	d.release(second)
	_, err = second.Gather(t.Context())
	require.NoError(t, err, "the next scrape uses it")
	require.NoError(t, second.Close())
}

func TestViewErrorIsTransparent(t *testing.T) {
	cause := errors.New("cause")
	require.ErrorIs(t, &viewError{cause}, cause)
}

// TestDefaultTellsConflicts: whose metric is left out, the log says once.
func TestDefaultTellsConflicts(t *testing.T) {
	old := slog.Default()
	defer slog.SetDefault(old)
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))

	dir := t.TempDir()
	first, second := multiproc.NewSet(multiproc.SetOptions{Dir: dir}), multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	multiproc.MustNew(first.NewCounter(multiproc.CounterOpts{Name: "jobs_total", Help: "J."})).Inc()
	multiproc.MustNew(second.NewGauge(multiproc.GaugeOpts{Name: "jobs", Help: "J.", Mode: metric.ModeMax})).Set(1)
	r := newDefault(first)
	for range 3 {
		names(t, r)
	}
	require.Equal(t, 1, strings.Count(log.String(), `served="counter jobs"`), log.String())
	require.Contains(t, log.String(), `left_out="gauge jobs of mode max" left_out_of="`+filepath.Base(access.Store(second).Path()))
}
