//go:build unix

package prom_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/multiproc"
)

// countingHandler counts the lines of a log by level.
type countingHandler struct {
	slog.Handler
	lines *prometheus.CounterVec
}

func (h *countingHandler) Handle(_ context.Context, r slog.Record) error {
	h.lines.WithLabelValues(r.Level.String()).Inc()
	return nil
}

// TestDeletedFileWithALoggerThatCounts: a MetricVec makes a metric under its
// lock. That the file is gone is told to a log whose handler waits for it.
func TestDeletedFileWithALoggerThatCounts(t *testing.T) {
	now := time.Now()
	h := &countingHandler{Handler: slog.NewTextHandler(os.Stderr, nil)}
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir(), Logger: slog.New(h), Now: func() time.Time { return now }})
	factory := prom.New(set, prom.Options{})
	defer factory.Close()
	h.lines = factory.NewCounterVec(prometheus.CounterOpts{Name: "log_lines_total"}, []string{"level"})
	require.NoError(t, os.Remove(access.Store(set).Path()))
	now = now.Add(time.Minute)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.lines.WithLabelValues("INFO").Inc()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("the lookup waits for itself")
	}
	require.Eventually(t, func() bool { return testutil.ToFloat64(h.lines.WithLabelValues("ERROR")) == 1 }, 30*time.Second, time.Millisecond)
}
