package multiproc_test

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

func TestOpenAndFallback(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	var log strings.Builder
	s := multiproc.NewSet(multiproc.SetOptions{Dir: missing, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	require.ErrorIs(t, s.Open(), fs.ErrNotExist)
	require.NoError(t, s.Fallback())
	c.Inc()
	c.Inc()
	require.ErrorIs(t, s.Fallback(), fs.ErrNotExist)
	require.ErrorIs(t, s.Open(), fs.ErrNotExist, "a worker that asks is told")
	require.Equal(t, 1, strings.Count(log.String(), "\n"), "the log says it once: %s", log.String())
	require.EqualValues(t, 2, samples(t, registry.Instruments(s))["c_total"], "it goes on from the heap")
}

// countingHandler updates an instrument for every record, as an application
// that counts its log lines does.
type countingHandler struct {
	slog.Handler
	lines *multiproc.Counter
}

func (h *countingHandler) Handle(ctx context.Context, r slog.Record) error {
	h.lines.Inc()
	return nil
}

func TestFallbackWithALoggerThatCounts(t *testing.T) {
	h := &countingHandler{Handler: slog.NewTextHandler(os.Stderr, nil)}
	s := multiproc.NewSet(multiproc.SetOptions{Dir: filepath.Join(t.TempDir(), "missing"), Logger: slog.New(h)})
	h.lines = multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "log_lines", Help: "Lines."}))
	done := make(chan struct{})
	go func() {
		h.lines.Inc()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the update waits for itself")
	}
	require.EqualValues(t, 2, samples(t, registry.Instruments(s))["log_lines_total"])
}

func TestClosedSetMakesNoFile(t *testing.T) {
	dir := t.TempDir()
	s := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	require.NoError(t, s.Close())
	c.Inc()
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestDeclaringAndScrapingMakeNoFile(t *testing.T) {
	dir := t.TempDir()
	s := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	v.WithLabelValues("declared")
	v.DeleteLabelValues("declared")
	v.WithLabelValues("kept")
	multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "d", Help: "D."})).Add(-1)
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	defer a.Close()
	samples(t, a)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, names)
	require.NoError(t, s.Open())
	got := samples(t, a)
	require.Contains(t, got, `c_total{l="kept"}`)
	require.NotContains(t, got, `c_total{l="declared"}`)
	require.EqualValues(t, 1, got["multiprom_invalid_updates_total"], "counts from before the file are kept")
}

func TestCloseKeepsHandlesValid(t *testing.T) {
	sets(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set, read func() map[string]float64) {
		v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		old := v.WithLabelValues("old")
		require.NoError(t, s.Open())
		require.NoError(t, s.Close())
		old.Inc()
		v.WithLabelValues("new").Inc()
		multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "late", Help: "L."})).Inc()
	})
}
