package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// serveTest starts the server of `mpctl serve` on a real socket.
func serveTest(t *testing.T, g gather.Func, limit scrapeLimits) (url string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	a, err := aggregate.Open(t.TempDir(), aggregate.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	s.Config = newServer(g, newSite(a, nil, ""), limit, slog.New(slog.DiscardHandler))
	s.Start()
	t.Cleanup(s.Close)
	return s.URL + "/metrics"
}

func scrape(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if len(header) > 0 {
		req.Header.Set(header[0], header[1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestServeLimitsScrapes(t *testing.T) {
	const most = 2
	entered, leave := make(chan struct{}), make(chan struct{})
	url := serveTest(t, func(context.Context) ([]*metric.Family, error) {
		entered <- struct{}{}
		<-leave
		return nil, nil
	}, scrapeLimits{requests: most, timeout: time.Minute})
	codes := make(chan int, most)
	for range most {
		go func() {
			resp, err := http.Get(url)
			if err != nil {
				codes <- 0
				return
			}
			resp.Body.Close()
			codes <- resp.StatusCode
		}()
		<-entered
	}
	code, body := scrape(t, url)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "2 scrapes are already running")
	close(leave)
	for range most {
		require.Equal(t, http.StatusOK, <-codes)
	}
}

func TestServeLimitsTimeAndHeaders(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	hangs := func(context.Context) ([]*metric.Family, error) { <-never; return nil, nil }
	code, body := scrape(t, serveTest(t, hangs, scrapeLimits{requests: 1, timeout: 100 * time.Millisecond}))
	require.Equal(t, http.StatusServiceUnavailable, code, "the answer comes before the connection is cut")
	require.Contains(t, body, "took too long")

	code, _ = scrape(t, serveTest(t, hangs, defaultScrapeLimits), "X", strings.Repeat("x", 80<<10))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, code)
}

func TestServeWithoutLimits(t *testing.T) {
	cmd := newServe()
	require.NoError(t, cmd.ParseFlags([]string{"--web.max-requests", "-1", "--web.timeout", "-1"}))
	none := scrapeLimits{requests: metric.NoLimit, timeout: metric.NoLimit}
	require.Equal(t, "-1", cmd.Flag("web.max-requests").Value.String())
	require.EqualValues(t, metric.NoLimit, none.handler(nil).MaxConcurrent)
	require.EqualValues(t, metric.NoLimit, none.handler(nil).Timeout)
	require.EqualValues(t, metric.NoLimit, none.write())
}

func TestServeNegotiates(t *testing.T) {
	url := serveTest(t, func(context.Context) ([]*metric.Family, error) {
		return []*metric.Family{{Name: "jobs", Type: metric.Counter, Series: []metric.Series{{Value: 3}}}}, nil
	}, defaultScrapeLimits)
	for accept, want := range map[string]string{
		"": "# TYPE jobs_total counter\njobs_total 3\n",
		"application/openmetrics-text;version=1.0.0,text/plain;q=0.5":                                "# TYPE jobs counter\njobs_total 3\n# EOF\n",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited": "\x1b\x0a\x0ajobs_total\x18\x00\x22\x0b\x1a\x09\x09\x00\x00\x00\x00\x00\x00\x08\x40",
	} {
		code, body := scrape(t, url, "Accept", accept)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, want, body, accept)
	}
}

// TestServeBeforeTheDirectory: a missing directory is logged, and is served as soon as it
// exists, on a unix socket and at /metrics/ too.
func TestServeBeforeTheDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("unix sockets are another matter there")
	}
	base := t.TempDir()
	dir, socket := filepath.Join(base, "typo"), filepath.Join(base, "s")
	ctx, cancel := context.WithCancel(t.Context())
	var out safeBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--dir", dir, "--web.listen-address", "unix://" + socket}, io.Discard, &out)
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}
	get := func(path string) (int, string) {
		resp, err := client.Get("http://socket" + path)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	require.Eventually(t, func() bool { code, _ := get("/-/healthy"); return code == 200 }, 20*time.Second, 10*time.Millisecond)
	require.Contains(t, out.String(), "the directory does not exist")
	require.Contains(t, out.String(), "dir="+dir)
	require.NotContains(t, out.String(), "without authentication", "a socket is open to this machine alone")
	code, body := get("/metrics")
	require.Equal(t, 500, code)
	require.Contains(t, body, dir)
	code, body = get("/-/ready")
	require.Equal(t, 503, code)
	require.Contains(t, body, "not ready: ")
	require.Contains(t, body, dir)
	code, _ = get("/")
	require.Equal(t, 500, code)

	require.NoError(t, os.Mkdir(dir, 0o700))
	s, err := mpm.Create(dir, mpm.Options{})
	require.NoError(t, err)
	require.NoError(t, fill(s, "7"))
	for _, path := range []string{"/metrics", "/metrics/", "/metrics/?name[]=multiprom_processes"} {
		code, body = get(path)
		require.Equal(t, 200, code, path)
		require.Contains(t, body, "multiprom_processes", path)
	}
	code, body = get("/-/ready")
	require.Equal(t, 200, code)
	require.Equal(t, "ready\n", body)
	code, body = get("/")
	require.Equal(t, 200, code)
	require.Contains(t, body, "<td class=\"t name\">jobs</td>")
	require.NotContains(t, body, "\x1b")
	code, _ = get("/metrics/other")
	require.Equal(t, 404, code)
	cancel()
	require.Equal(t, exitOK, <-ended)
	require.NoFileExists(t, socket)
}

func TestServeSaysThatItIsOpen(t *testing.T) {
	for address, open := range map[string]bool{":0": true, "0.0.0.0:0": true, "127.0.0.1:0": false} {
		ctx, cancel := context.WithCancel(t.Context())
		var out safeBuffer
		ended := make(chan int, 1)
		go func() {
			ended <- run(ctx, []string{"serve", t.TempDir(), "--no-compact", "--web.listen-address", address}, io.Discard, &out)
		}()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), "TLS is disabled") }, 20*time.Second, 10*time.Millisecond)
		cancel()
		require.Equal(t, exitOK, <-ended, out.String())
		require.Equal(t, open, strings.Contains(out.String(), "open to all interfaces, without authentication"), address)
	}
	code, out := mpctl(t, "serve", t.TempDir(), "--web.listen-address", "127.0.0.1:0", "--web.listen-address", "ftp://x")
	require.Equal(t, exitError, code)
	require.Contains(t, out, `"ftp://x" for "--web.listen-address"`)
}

// safeBuffer is a buffer that servers write to concurrently.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestServeShowsFlags: the page says how the server was started, but not where it sends to.
func TestServeShowsFlags(t *testing.T) {
	cmd := newServe()
	require.NoError(t, cmd.ParseFlags([]string{
		"--ttl", "jobs=15m", "--reap-python", "--record", "10m", "--record-dir", "/x", "--remote-write", "http://me:secret@localhost/", "--send-header", "X-Key=secret",
	}))
	require.Equal(t, "--reap-python=true --ttl=jobs=15m0s", shownFlags(cmd))
	require.Empty(t, shownFlags(newServe()))
	given := 0
	cmd.Flags().Visit(func(*pflag.Flag) { given++ })
	require.Equal(t, 6, given)
}
