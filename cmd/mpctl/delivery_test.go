package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/pyfiletest"
)

// remoteReceiver takes remote write 1.0 and keeps the bodies.
type remoteReceiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	tenant string
}

func newRemoteReceiver(t *testing.T) *remoteReceiver {
	r := &remoteReceiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if body, err := snappy.Decode(nil, b); err == nil {
			b = body
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if strings.Contains(req.Header.Get("Content-Type"), "v2.Request") {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
		r.tenant = req.Header.Get("X-Scope-OrgID")
		r.bodies = append(r.bodies, string(b))
	}))
	t.Cleanup(r.Close)
	return r
}

// got returns all that has arrived.
func (r *remoteReceiver) got() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.bodies, "")
}

// marker is a staleness marker, as in a message.
const marker = "\x02\x00\x00\x00\x00\x00\xf0\x7f"

func jobsDir(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "shop")
	require.NoError(t, os.Mkdir(dir, 0o700))
	content := pyfiletest.Timed.Content(pyfiletest.Sample{Key: `["jobs", "jobs_total", {}, "h"]`, Value: 7})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "counter_1.db"), content, 0o600))
	return dir
}

// TestRemoteWrite sends once, and at an interval with a queue until the end.
func TestRemoteWrite(t *testing.T) {
	dir := jobsDir(t)
	r := newRemoteReceiver(t)
	var out safeBuffer
	require.Zero(t, run(t.Context(), []string{"remote-write", r.URL, "--dir", dir, "--header", "X-Scope-OrgID=team", "--label", "zone=a,instance=i"}, &out, &out), "%s", &out)
	for _, want := range []string{"jobs_total", "job\x12\x04shop", "instance\x12\x01i", "zone\x12\x01a"} {
		require.Contains(t, r.got(), want)
	}
	require.Equal(t, "team", r.tenant)
	require.NotContains(t, r.got(), marker)
	require.NotContains(t, r.got(), "multiprom_exit_sent_samples")
}

// TestServeSends: serve also sends what it serves, its exits' metrics included, and ends with
// markers. So does run.
func TestServeSends(t *testing.T) {
	for verb, args := range map[string][]string{
		"serve": {"--web.listen-address", "127.0.0.1:0"},
		"run":   {"-n", "1", "--", "sleep", "1000"},
	} {
		t.Run(verb, func(t *testing.T) {
			t.Setenv(envDir, "")
			dir := jobsDir(t)
			r := newRemoteReceiver(t)
			queue := filepath.Join(t.TempDir(), "queue")
			ctx, cancel := context.WithCancel(t.Context())
			var out safeBuffer
			code := make(chan int, 1)
			args := append([]string{verb, "--dir", dir, "--remote-write", r.URL, "--send-every", "20ms", "--send-queue", queue, "--no-compact"}, args...)
			go func() { code <- run(ctx, args, &out, &out) }()
			require.Eventually(t, func() bool {
				return strings.Contains(r.got(), "jobs_total") && strings.Contains(r.got(), "multiprom_exit_queue_rounds")
			}, 30*time.Second, 10*time.Millisecond)
			require.NotContains(t, r.got(), marker)
			cancel()
			require.Zero(t, <-code, "%s", &out)
			require.Contains(t, r.got(), marker)
			require.FileExists(t, filepath.Join(queue, "remotewrite.db"))
		})
	}
}
