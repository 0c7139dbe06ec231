//go:build unix

package supervisor

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/multiproc"
)

// TestDirectoryOfEnv: the supervisor creates, compacts and serves the directory that
// Env gives the workers, whether its own environment has one or not.
func TestDirectoryOfEnv(t *testing.T) {
	for name, variable := range map[string]string{"new": envDir, "old spelling": envDirLower} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(envDir, "")
			dir := filepath.Join(t.TempDir(), "made")
			s, err := New(Options{
				Command: "true", MetricsAddress: "127.0.0.1:0", Env: append(os.Environ(), variable+"="+t.TempDir(), variable+"="+dir),
			})
			require.NoError(t, err)
			require.DirExists(t, dir)
			require.NotNil(t, s.compactor)
			require.Equal(t, dir, multiproc.Default().Dir(), "registry.Default follows")
			require.NoError(t, s.Close())
		})
	}
}

// TestTooLateForTheDirectory: a supervisor that has counted elsewhere would show that
// instead of its workers.
func TestTooLateForTheDirectory(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = roleEnv(t, "toolate", "TOO_LATE_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `Dir is .* but this process has counted on the heap already.*: too late`, string(out))
}

// roleTooLate counts and then becomes a supervisor.
func roleTooLate() {
	os.Unsetenv(envDir)
	multiproc.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}).Inc()
	_, err := New(Options{Command: "true", Dir: os.Getenv("TOO_LATE_DIR")})
	if err == nil {
		os.Exit(1)
	}
	os.Stdout.WriteString(err.Error())
}

// TestMetricsLenient: the merged view has the sum of a histogram with a negative bound,
// which OpenMetrics forbids.
func TestMetricsLenient(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(envDir, dir)
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	multiproc.MustNew(set.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{-1, 1}})).Observe(-2)
	t.Cleanup(func() { set.Close() })
	for _, lenient := range []bool{false, true} {
		s, err := New(Options{Dir: dir, MetricsAddress: "127.0.0.1:0", MetricsLenient: lenient})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
		w := httptest.NewRecorder()
		s.opt.Metrics.ServeHTTP(w, r)
		require.Equal(t, lenient, strings.Contains(w.Body.String(), "h_sum -2"), w.Body.String())
		for path, says := range map[string]string{"/": fmt.Sprintf(" &middot; slots %d &middot; drain 30s</p>", s.opt.Workers), "/-/healthy": "healthy", "/-/ready": "ready", "/other": "# TYPE h histogram"} {
			w := httptest.NewRecorder()
			s.opt.Metrics.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			require.Equal(t, 200, w.Code, path)
			require.Contains(t, w.Body.String(), says, path)
		}
		require.NoError(t, s.Close())
	}
}

// exitFunc is an exit.
type exitFunc func(ctx context.Context, g gather.Gatherer) error

func (f exitFunc) Run(ctx context.Context, g gather.Gatherer) error { return f(ctx, g) }

// TestExits: an exit gets the merged view, without a metrics address, and ends after the
// workers: it sees what these have counted at last.
func TestExits(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(envDir, dir)
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	c := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "jobs", Help: "J."}))
	c.Inc()
	t.Cleanup(func() { set.Close() })
	value := func(g gather.Gatherer) float64 {
		families, err := g.Gather(context.Background())
		require.NoError(t, err)
		for _, f := range families {
			if f.Name == "jobs" {
				return f.Series[0].Value
			}
		}
		return -1
	}
	began := make(chan float64, 1)
	last := 0.0
	var s *Supervisor
	s, err := New(Options{
		Dir: dir, Command: "sleep", Args: []string{"1000"}, Workers: 1,
		OnWorkerExit: func(WorkerInfo) { c.Add(10) },
		Exits: []Exit{exitFunc(func(ctx context.Context, g gather.Gatherer) error {
			began <- value(g)
			<-ctx.Done()
			last = value(g)
			return nil
		})},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	require.Equal(t, 1.0, <-began)
	require.Eventually(t, func() bool { return len(s.Workers()) == 1 }, 30*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	require.Equal(t, 11.0, last)
}
