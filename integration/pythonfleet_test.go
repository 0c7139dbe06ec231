//go:build unix

package integration

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// python is Debian's Python. Another python3 in PATH does not see its modules.
const python = "/usr/bin/python3"

// texts are the texts of requests, which become a label. Each is awkward in JSON, in the
// text format or in both.
var texts = []string{"plain", "", " ", `a "quoted" \n \\`, "two\nlines\ttab", `{le="1"} 5,`, "é ☃ 𝕏 \u2028", "\x01\x7f", "1_2.db"}

// fleet is a set of servers whose workers write into one directory, and what their clients
// saw.
type fleet struct {
	t        *testing.T
	dir      string
	urls     []string
	answered atomic.Int64
	broken   atomic.Int64
	said     [16]atomic.Int64 // answered requests, by index in texts

	mu     sync.Mutex
	seen   map[int]*worker // workers that have answered, by pid
	killed map[int]bool    // workers that were killed
}

// worker is a worker that has answered.
type worker struct {
	url     string
	answers int64
}

// server is a real server with four workers of an application in testdata/python.
type server struct {
	modules string                              // that Debian's Python must have in addition to client_python
	argv    func(address, apps string) []string // its command line
	env     []string                            // more of its environment
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	return &fleet{t: t, dir: t.TempDir(), seen: map[int]*worker{}, killed: map[int]bool{}}
}

// start runs the server until the end of the test, and returns once it listens.
func (f *fleet) start(s server) *os.Process {
	f.t.Helper()
	apps, err := filepath.Abs("testdata/python")
	require.NoError(f.t, err)
	address := freeAddress(f.t)
	argv := s.argv(address, apps)
	needCommand(f.t, argv[0])
	needPython(f.t, strings.Fields(s.modules)...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+f.dir, "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+apps,
		"PATH="+filepath.Dir(mpctl(f.t))+":"+os.Getenv("PATH")) // for its hooks
	// On a busy machine a worker takes more than gunicorn's 30 seconds to begin. It looks for its parent twice in that time.
	cmd.Env = append(cmd.Env, "GUNICORN_CMD_ARGS=--timeout 100")
	cmd.Env = append(cmd.Env, s.env...)
	log, err := os.CreateTemp(f.t.TempDir(), "log")
	require.NoError(f.t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(f.t, cmd.Start())
	f.t.Cleanup(func() {
		end(cmd)
		if f.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			f.t.Logf("%s says:\n%s", argv[0], text)
		}
	})
	f.listens(address)
	f.urls = append(f.urls, "http://"+address+"/")
	return cmd.Process
}

// end ends a server. uWSGI tells each worker once, and one that is just starting misses it: then
// its master waits for ever. So workers that are still there are told again.
func end(server *exec.Cmd) {
	server.Process.Signal(syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		server.Wait()
		close(ended)
	}()
	again := time.NewTicker(10 * time.Second)
	defer again.Stop()
	for {
		select {
		case <-ended:
			return
		case <-again.C:
		}
		workers, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", server.Process.Pid))
		for _, pid := range strings.Fields(string(workers)) {
			if pid, err := strconv.Atoi(pid); err == nil {
				syscall.Kill(pid, syscall.SIGINT)
			}
		}
	}
}

// needPython is need for client_python and further modules.
func needPython(t testing.TB, modules ...string) {
	t.Helper()
	needCommand(t, python)
	for _, module := range append(modules, "prometheus_client") {
		err := exec.Command(python, "-c", "import "+module).Run()
		need(t, err == nil, "Debian's Python has no module "+module)
	}
}

// listens returns as soon as connections are accepted.
func (f *fleet) listens(address string) {
	f.t.Helper()
	eventually(f.t, "a server listens on "+address, func() bool {
		c, err := net.Dial("tcp", address)
		return err == nil && c.Close() == nil
	})
}

// request returns the pid of the worker that answered, or 0.
func (f *fleet) request() int {
	text := rand.IntN(len(texts))
	ctx, cancel := context.WithTimeout(f.t.Context(), 3*time.Minute)
	defer cancel()
	// The transport never retries a POST.
	base := f.urls[rand.IntN(len(f.urls))]
	target := base + "?text=" + url.QueryEscape(texts[text])
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		f.t.Error(err)
		return 0
	}
	req.Close = true // another worker may take the next one
	pid := 0
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode == http.StatusOK {
			pid, _ = strconv.Atoi(string(b))
		}
	}
	if pid == 0 {
		f.broken.Add(1)
		return 0
	}
	f.answered.Add(1)
	f.said[text].Add(1)
	f.mu.Lock()
	if f.seen[pid] == nil {
		f.seen[pid] = &worker{url: base}
	}
	f.seen[pid].answers++
	f.mu.Unlock()
	return pid
}

// clients is how many clients send requests at a time.
const clients = 8

// load sends requests from all clients while more returns true, and calls after after each
// answer.
func (f *fleet) load(more func(sent int64) bool, after func(pid int)) {
	var sent atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for more(sent.Add(1)) {
				if pid := f.request(); pid != 0 {
					after(pid)
				}
			}
		})
	}
	all.Wait()
}

// send sends n requests.
func (f *fleet) send(n int64) {
	f.load(func(sent int64) bool { return sent <= n }, func(int) {})
}

// kill sends n requests, and continues until it has killed that many workers, each right
// after it has answered.
func (f *fleet) kill(n int64, kills int) {
	left := atomic.Int64{}
	left.Store(int64(kills))
	f.load(func(sent int64) bool { return sent <= n || left.Load() > 0 }, f.killer(n, kills, &left))
}

// killer returns a function that kills some of the workers that have answered, until left is 0:
// as many as kills of n.
func (f *fleet) killer(n int64, kills int, left *atomic.Int64) func(pid int) {
	return func(pid int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if left.Load() == 0 || f.killed[pid] || rand.Int64N(n) >= int64(kills) {
			return
		}
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			f.killed[pid] = true
			left.Add(-1)
		}
	}
}

// reload sends requests until all workers that have answered before are gone.
func (f *fleet) reload(signal func()) {
	old := f.workers()
	var done atomic.Bool
	var clients sync.WaitGroup
	clients.Go(func() {
		f.load(func(int64) bool { return !done.Load() }, func(int) {})
	})
	defer clients.Wait()
	defer done.Store(true)
	signal()
	eventually(f.t, "the workers are replaced", func() bool { return len(gone(old)) == len(old) })
}

// workers returns the pids of all workers that have ever answered.
func (f *fleet) workers() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.seen))
}

// killedWorkers returns the pids of those that were killed.
func (f *fleet) killedWorkers() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.killed))
}

// gone returns the processes that no longer exist.
func gone(pids []int) (out []int) {
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			out = append(out, pid)
		}
	}
	return out
}

// markDead has mpctl remove the live gauges of processes.
func (f *fleet) markDead(pids []int) {
	f.t.Helper()
	for _, pid := range pids {
		id := strconv.Itoa(pid)
		out, err := exec.Command(mpctl(f.t), "mark-dead", id, "--dir", f.dir).CombinedOutput()
		require.NoError(f.t, err, "%s", out)
		require.Contains(f.t, strings.Fields(string(out)), "gauge_liveall_"+id+".db")
		require.NoFileExists(f.t, filepath.Join(f.dir, "gauge_liveall_"+id+".db"))
	}
}

// own returns the output of client_python's collector. It may fail while a worker starts,
// because the collector cannot read a file that is still empty.
func (f *fleet) own() ([]byte, error) {
	cmd := exec.Command(python, "testdata/python/collect.py")
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+f.dir)
	return cmd.Output()
}

// open returns the merged view without the self metrics, which client_python's collector
// does not have.
func (f *fleet) open() *aggregate.Aggregator {
	f.t.Helper()
	a, err := aggregate.Open(f.dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(f.t, err)
	f.t.Cleanup(func() { a.Close() })
	return a
}

// counted compares every number that depends on requests with what the clients saw, and
// returns the number of requests in the text.
func (f *fleet) counted(text []byte) (merged int64) {
	f.t.Helper()
	lo, hi := f.answered.Load(), f.answered.Load()+f.broken.Load()
	between := func(what string, lo, n, hi int64) {
		f.t.Helper()
		require.LessOrEqual(f.t, lo, n, "%s: answered requests are missing", what)
		require.LessOrEqual(f.t, n, hi, "%s: more than was sent", what)
	}
	seen, said := 0, map[string]int64{}
	for _, s := range vector(f.t, text) {
		v := float64(s.Value)
		switch name := string(s.Metric[model.MetricNameLabel]); name {
		case "py_requests_total":
			merged = int64(v)
			between(name, lo, merged, hi)
		case "py_latency_seconds_count", "py_size_bytes_count":
			between(name, lo, int64(v), hi)
		case "py_latency_seconds_sum":
			between(name, lo, int64(v/0.25), hi)
		case "py_size_bytes_sum":
			between(name, lo, int64(v/3), hi)
		case "py_texts_total":
			said[string(s.Metric["text"])] = int64(v)
			continue
		default:
			continue
		}
		seen++
	}
	require.Equal(f.t, 5, seen, "each of the numbers above, once")
	for i, s := range texts {
		n := f.said[i].Load()
		between(strconv.Quote(s), n, said[s], n+f.broken.Load())
	}
	return merged
}

// exact compares the merged view with client_python's own, and both with the clients. No
// request may have broken.
func (f *fleet) exact(a *aggregate.Aggregator) {
	f.t.Helper()
	require.Zero(f.t, f.broken.Load())
	f.equal(a)
}

// equal waits until the server has noticed the deaths. Then it compares the merged view with
// client_python's own, and both with the clients.
func (f *fleet) equal(a *aggregate.Aggregator) {
	f.t.Helper()
	var ours []byte
	require.EventuallyWithT(f.t, func(c *assert.CollectT) {
		ours = serve(f.t, a)
		theirs, err := f.own()
		require.NoError(c, err)
		require.Equal(c, parsed(f.t, theirs), parsed(f.t, ours))
	}, 30*time.Second, 20*time.Millisecond)
	f.log(f.counted(ours), "equal to client_python's collector")
}

func (f *fleet) log(merged int64, more string) {
	f.t.Helper()
	f.t.Logf("answered %d <= merged %d <= answered + %d broken, %d workers seen, %d killed, %s",
		f.answered.Load(), merged, f.broken.Load(), len(f.workers()), len(f.killedWorkers()), more)
}

// living checks that there are live gauges of that many processes.
func (f *fleet) living(a *aggregate.Aggregator, n int) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("%d processes have live gauges", n), func() bool {
		return countPrefix(samples(f.t, a), "py_liveall{") == n
	})
}
