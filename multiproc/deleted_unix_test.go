//go:build unix

package multiproc_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// TestDeletedFile: whichever way the store grows, the log is told once that the
// file is gone, and the process still has its own values.
func TestDeletedFile(t *testing.T) {
	for name, grow := range map[string]func(s *multiproc.Set, vec *multiproc.CounterVec, fresh string){
		"instrument": func(s *multiproc.Set, _ *multiproc.CounterVec, fresh string) {
			multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: fresh, Help: "F."}))
		},
		"series":  func(_ *multiproc.Set, vec *multiproc.CounterVec, fresh string) { vec.WithLabelValues(fresh) },
		"publish": func(s *multiproc.Set, _ *multiproc.CounterVec, _ string) { s.Publish() },
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			var log lockedBuilder
			s := multiproc.NewSet(multiproc.SetOptions{
				Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now },
			})
			vec := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
			vec.WithLabelValues("a").Add(2)
			require.NoError(t, os.Remove(access.Store(s).Path()))
			grow(s, vec, "early")
			require.NoError(t, s.Fallback(), "it is asked once a minute")

			now = now.Add(time.Minute)
			vec.WithLabelValues("a").Inc()
			require.Empty(t, log.String(), "an update asks nothing")
			grow(s, vec, "late")
			require.Eventually(t, func() bool {
				return strings.Contains(log.String(), "somebody deleted the metrics file")
			}, 30*time.Second, time.Millisecond, "new series leave it to a goroutine")
			require.Contains(t, log.String(), access.Store(s).Path())
			require.ErrorIs(t, s.Fallback(), mpm.ErrDeleted)

			now = now.Add(time.Hour)
			grow(s, vec, "later")
			require.Equal(t, 1, strings.Count(log.String(), "\n"), "once: %s", log.String())
			require.EqualValues(t, 3, samples(t, registry.Instruments(s))[`c_total{l="a"}`])
		})
	}
}

// lockedBuilder is a log that several goroutines may write.
type lockedBuilder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// vecHandler looks up a series for every record.
type vecHandler struct {
	slog.Handler
	lines *multiproc.CounterVec
}

func (h *vecHandler) Handle(_ context.Context, r slog.Record) error {
	h.lines.WithLabelValues(r.Level.String()).Inc()
	return nil
}

// lockedHandler looks up a series for every record, under a lock.
type lockedHandler struct {
	vecHandler
	mu *sync.Mutex
}

func (h *lockedHandler) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.vecHandler.Handle(ctx, r)
}

// TestDeletedFileWithALoggerThatCounts: the log's handler may take the locks of
// who looks a series up.
func TestDeletedFileWithALoggerThatCounts(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	h := &lockedHandler{vecHandler{Handler: slog.NewTextHandler(os.Stderr, nil)}, &mu}
	s := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir(), Logger: slog.New(h), Now: func() time.Time { return now }})
	h.lines = multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "log_lines", Help: "Lines."}, []string{"level"}))
	require.NoError(t, os.Remove(access.Store(s).Path()))
	now = now.Add(time.Minute)
	done := make(chan struct{})
	go func() {
		defer close(done)
		mu.Lock()
		defer mu.Unlock()
		h.lines.WithLabelValues("INFO").Inc()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("the lookup waits for itself")
	}
	require.Eventually(t, func() bool {
		return samples(t, registry.Instruments(s))[`log_lines_total{level="ERROR"}`] == 1
	}, 30*time.Second, time.Millisecond)
}
