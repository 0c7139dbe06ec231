//go:build unix

package integration

import (
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// Debian's Python programs; another python3 in PATH does not see its modules.
const (
	python   = "/usr/bin/python3"
	gunicorn = "/usr/bin/gunicorn"
)

// gunicornFleet is a gunicorn with four workers that write client_python's files.
type gunicornFleet struct {
	t        *testing.T
	dir, url string
	answered atomic.Int64
	broken   atomic.Int64
	kills    int
}

func startGunicorn(t *testing.T) *gunicornFleet {
	t.Helper()
	needCommand(t, gunicorn)
	err := exec.Command(python, "-c", "import prometheus_client").Run()
	need(t, err == nil, "Debian's python3-prometheus-client is not installed")
	app, err := filepath.Abs("testdata/gunicorn")
	require.NoError(t, err)
	g := &gunicornFleet{t: t, dir: t.TempDir()}
	address := freeAddress(t)
	g.url = "http://" + address + "/"
	cmd := exec.Command(gunicorn, "-w", "4", "-b", address, "-c", filepath.Join(app, "conf.py"), "--pythonpath", app, "app:app")
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+g.dir, "PYTHONDONTWRITEBYTECODE=1")
	log, err := os.CreateTemp(t.TempDir(), "log")
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("gunicorn says:\n%s", text)
		}
	})
	eventually(t, "gunicorn answers", func() bool { return g.request() != 0 })
	g.broken.Store(0) // before it listened
	return g
}

// request returns the pid of the worker that has answered, 0 if none has.
func (g *gunicornFleet) request() int {
	// A POST is never sent twice behind our back.
	req, err := http.NewRequest(http.MethodPost, g.url, nil)
	require.NoError(g.t, err)
	req.Close = true // another worker may take the next one
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		g.broken.Add(1)
		return 0
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	pid, convErr := strconv.Atoi(string(b))
	if err != nil || convErr != nil || resp.StatusCode != http.StatusOK {
		g.broken.Add(1)
		return 0
	}
	g.answered.Add(1)
	return pid
}

// load sends n requests at least, and more until it has killed that many
// workers, each right behind an answer of it.
func (g *gunicornFleet) load(n, kills int) {
	var sent atomic.Int64
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				mu.Lock()
				done := g.kills >= kills
				mu.Unlock()
				if sent.Add(1) > int64(n) && done {
					return
				}
				pid := g.request()
				if pid == 0 || kills == 0 || rand.IntN(n/kills) > 0 {
					continue
				}
				mu.Lock()
				if g.kills < kills && syscall.Kill(pid, syscall.SIGKILL) == nil {
					g.kills++
				}
				mu.Unlock()
			}
		})
	}
	clients.Wait()
}

// own returns what client_python's collector says.
func (g *gunicornFleet) own() []byte {
	cmd := exec.Command(python, "testdata/gunicorn/collect.py")
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+g.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(g.t, err)
	return out
}

// TestGunicorn compares the merged view of a real gunicorn fleet with what its
// clients saw, and with client_python's own collector, which takes only what
// Debian's version of it writes.
func TestGunicorn(t *testing.T) {
	g := startGunicorn(t)
	a, err := aggregate.Open(g.dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	merged := func() int64 {
		v, ok := sampleOf(string(serve(t, a)), `py_requests_total{method="POST"}`)
		require.True(t, ok)
		return int64(v)
	}

	g.load(400, 0)
	require.Equal(t, parsed(t, g.own()), parsed(t, serve(t, a)))
	require.Zero(t, g.broken.Load())
	require.Equal(t, g.answered.Load(), merged())

	g.load(1000, 20)
	require.Equal(t, 20, g.kills)
	var ours, theirs []string
	eventually(t, "gunicorn has taken notice of the deaths", func() bool {
		ours, theirs = parsed(t, serve(t, a)), parsed(t, g.own())
		return strings.Join(ours, "\n") == strings.Join(theirs, "\n")
	})
	require.Equal(t, theirs, ours)
	require.LessOrEqual(t, g.answered.Load(), merged())
	require.LessOrEqual(t, merged(), g.answered.Load()+g.broken.Load())
	t.Logf("answered %d <= merged %d <= answered + broken %d, %d kills, equal to client_python's own collector",
		g.answered.Load(), merged(), g.answered.Load()+g.broken.Load(), g.kills)
}
