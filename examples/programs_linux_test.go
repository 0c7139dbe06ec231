package examples

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// start starts a program in a directory for metrics until the end of the test.
func start(t *testing.T, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
	})
	return cmd
}

// shows waits until a page has a text.
func shows(t *testing.T, url, text string) {
	t.Helper()
	page := ""
	require.Eventually(t, func() bool {
		page = get(t, url)
		return strings.Contains(page, text)
	}, time.Minute, 50*time.Millisecond, "%s does not show %s", url, text)
}

// TestSidecar: the sidecar shows what another program counts, and what that has counted
// after it was killed.
func TestSidecar(t *testing.T) {
	bin := build(t, "sidecar", "nethttp")
	dir, app, address := t.TempDir(), freeAddress(t), freeAddress(t)
	start(t, "", bin+"sidecar", address, dir)
	counting := start(t, dir, bin+"nethttp", app)
	for range 20 {
		require.Equal(t, "hello\n", get(t, "http://"+app+"/"))
	}
	shows(t, "http://"+address+"/metrics", "\nrequests_total 20\n")
	require.NoError(t, counting.Process.Kill())
	shows(t, "http://"+address+"/metrics", "\nmultiprom_processes{state=\"live\"} 0\n")
	page := get(t, "http://"+address+"/metrics")
	require.Contains(t, page, "\nrequests_total 20\n")
	require.Contains(t, page, "\ngo_build_info{", "its own")
}

// TestCollector: each process that answers shows the value.
func TestCollector(t *testing.T) {
	bin := build(t, "collector")
	dir := t.TempDir()
	for range 2 {
		address := freeAddress(t)
		start(t, dir, bin+"collector", address)
		shows(t, "http://"+address+"/metrics", "\n# TYPE disk_free_bytes gauge\ndisk_free_bytes{path=\"/\"} ")
	}
}

// TestExemplars: OpenMetrics has the trace of a request that another process has served.
func TestExemplars(t *testing.T) {
	bin := build(t, "exemplars")
	dir, first, second := t.TempDir(), freeAddress(t), freeAddress(t)
	start(t, dir, bin+"exemplars", first)
	start(t, dir, bin+"exemplars", second)
	shows(t, "http://"+first+"/", "hello")
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	request := func(url, header, value string) string {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
		require.NoError(t, err)
		r.Header.Set(header, value)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(b)
	}
	shows(t, "http://"+second+"/", "hello")
	request("http://"+second+"/", "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	page := request("http://"+first+"/metrics", "Accept", "application/openmetrics-text;version=1.0.0")
	require.Contains(t, page, `# {trace_id="`+trace+`"} `)
	require.Contains(t, page, "\nrequest_seconds_count 3\n")
}
