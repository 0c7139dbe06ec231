//go:build linux

package supervisor

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/doctest"
)

// exampleClient is a client of a Unix socket, with one connection per request, so that
// the kernel chooses a worker for each.
func exampleClient(socket string) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}

func ask(t *testing.T, c *http.Client) (body string) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := c.Get("http://example/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		body = string(b)
		return err == nil && resp.StatusCode == http.StatusOK
	}, time.Minute, 10*time.Millisecond)
	return body
}

// matches returns the matches of the pattern's first group.
func matches(pattern, text string) (found []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestDocExample runs the program of the package's doc comment with the variable unset,
// as a reader would. The supervisor's /metrics has the sum of what real workers
// answered. The variant serves registry.Default instead.
func TestDocExample(t *testing.T) {
	blocks := doctest.PackageBlocks(t, "doc.go")
	require.Len(t, blocks, 1)
	const address = `MetricsAddress: "tcp://:9090",`
	for name, metrics := range map[string]string{
		"as it stands":     address,
		"registry.Default": address + "\nMetrics: exposition.Handler(registry.Default()),",
		"by slot":          address + "\nWorkers: 2, ProcessIDBySlot: true,",
	} {
		t.Run(name, func(t *testing.T) {
			short, err := os.MkdirTemp("", "mp") // a socket's path has at most 107 bytes
			require.NoError(t, err)
			t.Cleanup(func() { os.RemoveAll(short) })
			app, port := filepath.Join(short, "app"), filepath.Join(short, "metrics")
			program := doctest.Build(t, blocks[0],
				address, metrics, "tcp://:8080", "unix://"+app, "tcp://:9090", "unix://"+port,
				"/run/app/metrics", filepath.Join(short, "not", "there"))
			cmd := exec.Command(program)
			cmd.Env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool {
				return strings.HasPrefix(strings.ToUpper(kv), "PROMETHEUS_MULTIPROC_DIR=")
			}), "GOMAXPROCS=3")
			var log syncBuffer
			cmd.Stdout, cmd.Stderr = &log, &log
			require.NoError(t, cmd.Start())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() { cmd.Process.Kill() })

			const n = 60
			client := exampleClient(app)
			for range n {
				require.Equal(t, "hello\n", ask(t, client))
			}
			scraper := exampleClient(port)
			const counted = `\nhttp_requests_total\{code="200",method="GET"\} (\d+)\n`
			require.Equal(t, []string{fmt.Sprint(n)}, matches(counted, ask(t, scraper)), log.String())
			workers := 3
			if name == "by slot" {
				workers = 2
			}
			require.Eventually(t, func() bool {
				return strings.Count(ask(t, scraper), "\ngo_goroutines{") == workers
			}, time.Minute, 10*time.Millisecond, "the publisher of each worker")
			require.Equal(t, workers, strings.Count(ask(t, scraper), "\nprocess_start_time_seconds{"))
			if name == "by slot" {
				survivesRestart(t, filepath.Join(short, "not", "there"), cmd.Process, scraper)
			}
			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			select {
			case err := <-ended:
				require.NoError(t, err, log.String())
			case <-time.After(time.Minute):
				t.Fatal("it does not drain")
			}
		})
	}
}

// survivesRestart kills the worker of slot 1 and then replaces all workers. The labels
// stay.
func survivesRestart(t *testing.T, dir string, supervisor *os.Process, scraper *http.Client) {
	view, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	defer view.Close()
	// settled waits until slots 0 and 1 each have a worker that is not in old, and the
	// metrics show nothing else.
	settled := func(old map[string]int) (pids map[string]int) {
		require.Eventually(t, func() bool {
			processes, err := view.Processes()
			require.NoError(t, err)
			pids = map[string]int{}
			for _, p := range processes {
				if p.State == aggregate.Live {
					pids[p.Label] = p.PID
				}
			}
			if len(pids) != 2 || pids["0"] == 0 || pids["1"] == 0 || pids["1"] == old["1"] {
				return false
			}
			return slices.Equal(matches(`\ngo_goroutines\{pid="([^"]+)"\}`, ask(t, scraper)), []string{"0", "1"})
		}, time.Minute, 10*time.Millisecond)
		return pids
	}
	first := settled(nil)
	require.NoError(t, syscall.Kill(first["1"], syscall.SIGKILL))
	second := settled(first)
	require.Equal(t, first["0"], second["0"])
	require.NoError(t, supervisor.Signal(syscall.SIGHUP))
	settled(second)
}
