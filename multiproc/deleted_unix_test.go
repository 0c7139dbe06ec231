//go:build unix

package multiproc_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/mmapstore"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// TestDeletedFile: whichever way the store grows, the log is told once that the
// file is gone, and the process still has its own values.
func TestDeletedFile(t *testing.T) {
	for name, grow := range map[string]func(s *multiproc.Set, vec *multiproc.CounterVec, fresh string){
		"instrument": func(s *multiproc.Set, _ *multiproc.CounterVec, fresh string) {
			multiproc.Must(s.NewCounter(multiproc.CounterOpts{Name: fresh, Help: "F."}))
		},
		"series":  func(_ *multiproc.Set, vec *multiproc.CounterVec, fresh string) { vec.WithLabelValues(fresh) },
		"publish": func(s *multiproc.Set, _ *multiproc.CounterVec, _ string) { s.Publish() },
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			var log strings.Builder
			s := multiproc.NewSet(multiproc.SetOptions{
				Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now },
			})
			vec := multiproc.Must(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
			vec.WithLabelValues("a").Add(2)
			require.NoError(t, os.Remove(s.Store().Path()))
			grow(s, vec, "early")
			require.NoError(t, s.Fallback(), "it is asked once a minute")

			now = now.Add(time.Minute)
			vec.WithLabelValues("a").Inc()
			require.Empty(t, log.String(), "an update asks nothing")
			grow(s, vec, "late")
			require.Contains(t, log.String(), "somebody deleted the metrics file")
			require.Contains(t, log.String(), s.Store().Path())
			require.ErrorIs(t, s.Fallback(), mmapstore.ErrDeleted)

			now = now.Add(time.Hour)
			grow(s, vec, "later")
			require.Equal(t, 1, strings.Count(log.String(), "\n"), "once: %s", log.String())
			require.EqualValues(t, 3, samples(t, registry.Instruments(s))[`c_total{l="a"}`])
		})
	}
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

func TestDeletedFileWithALoggerThatCounts(t *testing.T) {
	now := time.Now()
	h := &vecHandler{Handler: slog.NewTextHandler(os.Stderr, nil)}
	s := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir(), Logger: slog.New(h), Now: func() time.Time { return now }})
	h.lines = multiproc.Must(s.NewCounterVec(multiproc.CounterOpts{Name: "log_lines", Help: "Lines."}, []string{"level"}))
	require.NoError(t, os.Remove(s.Store().Path()))
	now = now.Add(time.Minute)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.lines.WithLabelValues("INFO").Inc()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the lookup waits for itself")
	}
	require.EqualValues(t, 1, samples(t, registry.Instruments(s))[`log_lines_total{level="ERROR"}`])
}
