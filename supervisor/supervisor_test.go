//go:build unix

package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// client opens a connection per request.
var client = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true},
	Timeout:   10 * time.Second,
}

func get(url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func serverOptions(t *testing.T, workers int) Options {
	return Options{
		Workers:   workers,
		Env:       roleEnv(t, "server"),
		Listeners: []Listener{{Address: "tcp://127.0.0.1:0"}},
	}
}

func (r *runner) url() string { return "http://" + r.Addrs()[0].String() }

func TestWorkersShareListener(t *testing.T) {
	r := run(t, serverOptions(t, 3))
	pids := r.pids(t)
	require.Len(t, pids, 3)
	seen := map[string]bool{}
	eventually(t, "every worker answers", func() bool {
		// Parallel connections, so that no worker can take all of them.
		var wg sync.WaitGroup
		answers := make([]string, 16)
		for i := range answers {
			wg.Go(func() { answers[i], _ = get(r.url()) })
		}
		wg.Wait()
		for _, a := range answers {
			seen[a] = true
		}
		for slot, pid := range pids {
			if !seen[fmt.Sprintf("%d %d", slot, pid)] {
				return false
			}
		}
		return true
	})
	require.Len(t, seen, 3)
	r.cancel()
	require.NoError(t, r.wait(t))
	require.Empty(t, r.Workers())
	_, err := net.Dial("tcp", r.Addrs()[0].String())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorIs(t, r.Reload(context.Background()), errNotRunning)
	require.ErrorIs(t, r.Run(context.Background()), errRunTwice)
}

func TestKilledWorkerIsReplacedInItsSlot(t *testing.T) {
	exits := make(chan WorkerInfo, 8)
	o := serverOptions(t, 2)
	o.Backoff = Backoff{Min: time.Hour, Max: time.Hour, Young: time.Nanosecond}
	o.OnWorkerExit = func(w WorkerInfo) { exits <- w }
	r := run(t, o)
	before := r.pids(t)
	require.NoError(t, syscall.Kill(before[1], syscall.SIGKILL))
	w := <-exits
	require.Equal(t, before[1], w.PID)
	require.Equal(t, 1, w.Slot)
	require.Equal(t, ExitStatus{Code: -1, Signal: syscall.SIGKILL}, w.ExitStatus)
	require.Equal(t, "signal: killed", w.ExitStatus.String())
	after := r.pids(t)
	require.Equal(t, before[0], after[0])
	require.NotEqual(t, before[1], after[1])
	require.Equal(t, 1, r.Workers()[1].Restarts)
}

func TestDrainFinishesRequest(t *testing.T) {
	r := run(t, serverOptions(t, 2))
	r.pids(t)
	file := filepath.Join(t.TempDir(), "release")
	resp, err := client.Get(r.url() + "/hold?file=" + file)
	require.NoError(t, err)
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	line, err := body.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "begun\n", line)
	r.cancel()
	eventually(t, "only the busy worker is left, draining", func() bool {
		ws := r.Workers()
		return len(ws) == 1 && ws[0].State == Draining
	})
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	line, err = body.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "done\n", line)
	require.NoError(t, r.wait(t))
}

func TestDrainTimeoutKills(t *testing.T) {
	exits := make(chan WorkerInfo, 8)
	r := run(t, Options{
		Workers: 1, Env: roleEnv(t, "deaf"), DrainTimeout: 20 * time.Millisecond,
		OnWorkerExit: func(w WorkerInfo) { exits <- w },
	})
	r.pids(t)
	r.cancel()
	require.ErrorIs(t, r.wait(t), ErrNotDrained)
	require.Equal(t, syscall.SIGKILL, (<-exits).ExitStatus.Signal)
}

func TestReloadRefusesNobody(t *testing.T) {
	var mu sync.Mutex
	var events []string
	note := func(kind string) func(WorkerInfo) {
		return func(w WorkerInfo) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, fmt.Sprint(kind, w.Slot, ".", w.Restarts))
		}
	}
	o := serverOptions(t, 2)
	o.OnWorkerStart, o.OnWorkerExit = note("+"), note("-")
	r := run(t, o)
	before := r.pids(t)
	mu.Lock()
	events = nil
	mu.Unlock()

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var answered atomic.Int64
	failures := make(chan error, 1000)
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := get(r.url()); err != nil {
					failures <- err
				} else {
					answered.Add(1)
				}
			}
		})
	}
	require.NoError(t, r.Reload(context.Background()))
	n := answered.Load()
	eventually(t, "the new workers answer", func() bool { return answered.Load() > n+20 })
	close(stop)
	wg.Wait()
	close(failures)
	for err := range failures {
		require.NotErrorIs(t, err, syscall.ECONNREFUSED)
		// net/http's Shutdown may close a connection accepted just before it.
		require.True(t, errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET), "%v", err)
	}
	after := r.pids(t)
	require.NotEqual(t, before[0], after[0])
	require.NotEqual(t, before[1], after[1])
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{"+0.1", "-0.0", "+1.1", "-1.0"}, events, "one by one, the new before the old")
}

func TestReloadKeepsWorkerWhenReplacementFails(t *testing.T) {
	silent := filepath.Join(t.TempDir(), "silent")
	o := serverOptions(t, 1)
	o.Env = roleEnv(t, "silent", "SILENT="+silent)
	o.ReadyTimeout = 50 * time.Millisecond
	r := run(t, o)
	before := r.pids(t)
	require.NoError(t, os.WriteFile(silent, nil, 0o600))
	require.ErrorIs(t, r.Reload(context.Background()), ErrNotReady)
	require.Equal(t, before, r.pids(t))
}

func TestCrashLoopBacksOff(t *testing.T) {
	var crashes atomic.Int32
	r := run(t, Options{
		Workers: 1, Env: roleEnv(t, "crash"), SignalsReady: true,
		Backoff: Backoff{Min: time.Millisecond, Max: time.Hour, Young: time.Hour},
		OnWorkerExit: func(w WorkerInfo) {
			if w.ExitStatus.Code == 3 {
				crashes.Add(1)
			}
		},
	})
	eventually(t, "crashes", func() bool { return crashes.Load() >= 4 })
	r.cancel() // also ends a long delay
	require.NoError(t, r.wait(t))
}

// reports starts o's workers with a pipe as stdout and returns the report of one.
func reports(t *testing.T, o Options) report {
	t.Helper()
	pr, pw, err := os.Pipe()
	require.NoError(t, err)
	defer pr.Close()
	defer pw.Close()
	// A descriptor without close-on-exec, such as a parent may leave.
	leak, err := unix.Dup(int(pr.Fd()))
	require.NoError(t, err)
	defer unix.Close(leak)
	o.Workers, o.Stdout = 1, pw
	r := run(t, o)
	var got report
	require.NoError(t, json.NewDecoder(pr).Decode(&got))
	r.Kill()
	r.wait(t)
	require.Equal(t, r.Addrs()[0].String(), got.Addr)
	require.True(t, got.Worker)
	require.Zero(t, got.Slot)
	require.Empty(t, got.LeftEnv)
	require.Empty(t, got.Inheritable)
	return got
}

func TestWhatAWorkerSees(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "a", "metrics")
	two := []Listener{{Address: "127.0.0.1:0", Name: "web"}, {Address: "unix://" + filepath.Join(t.TempDir(), "s")}}
	fds := func(got report, want ...int) {
		if got.FDs != nil {
			require.Equal(t, want, got.FDs)
		}
	}
	t.Setenv(envDir, "") // New sets it
	t.Run("re-executed", func(t *testing.T) {
		got := reports(t, Options{Env: roleEnv(t, "report"), Listeners: two, Dir: dir, Args: []string{"a b"}})
		fds(got, 0, 1, 2, 3, 4, 5)
		require.Equal(t, "web:listener1", got.Names)
		require.Equal(t, []string{"web", "listener1"}, got.Named)
		require.Equal(t, 2, got.Listeners)
		require.Equal(t, dir, got.Dir)
		require.Equal(t, []string{"a b"}, got.Args)
		fi, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), fi.Mode().Perm())
	})
	t.Run("foreign by shim", func(t *testing.T) {
		got := reports(t, Options{Command: self, Args: []string{"x", ""}, Env: roleEnv(t, "report"), Listeners: two})
		fds(got, 0, 1, 2, 3, 4)
		require.Equal(t, got.PID, got.ListenPID)
		require.Equal(t, []string{"x", ""}, got.Args)
	})
	t.Run("foreign by a shell as shim", func(t *testing.T) {
		got := reports(t, Options{
			Command: self, Env: append(roleEnv(t, "report"), "LISTEN_PID=1", "LISTEN_PIDFDID=1", "MULTIPROM_LINK_FD=9"), Listeners: two,
			ShimCommand: []string{"/bin/sh", "-c", `unset MULTIPROM_SHIM; export LISTEN_PID=$$; exec "$@"`, "sh"},
		})
		fds(got, 0, 1, 2, 3, 4)
		require.Equal(t, got.PID, got.ListenPID)
	})
}

// TestListenersWithoutNames: other supervisors give no names, or another number of
// them.
func TestListenersWithoutNames(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for names, want := range map[string]struct {
		named []string
		err   string
	}{
		"unset LISTEN_FDNAMES":          {named: []string{"", ""}},
		"export LISTEN_FDNAMES=:":       {named: []string{"", ""}},
		"export LISTEN_FDNAMES='a b:c'": {named: []string{"a b", "c"}},
		"export LISTEN_FDNAMES=one":     {err: `LISTEN_FDNAMES="one" has 1 names for 2 listeners`},
		"export LISTEN_FDNAMES=1:2:3":   {err: "has 3 names for 2 listeners"},
	} {
		got := reports(t, Options{
			Command: self, Env: roleEnv(t, "report"), Listeners: []Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0"}},
			ShimCommand: []string{"/bin/sh", "-c", `unset MULTIPROM_SHIM; ` + names + `; export LISTEN_PID=$$; exec "$@"`, "sh"},
		})
		require.Equal(t, 2, got.Listeners, "they serve nevertheless")
		require.Equal(t, want.named, got.Named, names)
		require.Contains(t, got.NamedErr, want.err, names)
		require.Equal(t, want.err == "", got.NamedErr == "", names)
	}
}

func TestMetricsServer(t *testing.T) {
	t.Setenv(envDir, "") // New sets it
	o := serverOptions(t, 1)
	o.Dir = t.TempDir()
	o.MetricsAddress = "tcp://127.0.0.1:0"
	o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "merged") })
	r := run(t, o)
	body, err := get("http://" + r.MetricsAddr().String() + "/metrics")
	require.NoError(t, err)
	require.Equal(t, "merged", body)

	req, err := http.NewRequest(http.MethodGet, "http://"+r.MetricsAddr().String(), nil)
	require.NoError(t, err)
	req.Header.Set("X", strings.Repeat("x", 80<<10))
	resp, err := client.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
}
