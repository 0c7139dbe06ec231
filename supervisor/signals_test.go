//go:build unix

package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// outside is a supervisor in another process, and its output.
type outside struct {
	*exec.Cmd
	addr  string
	lines chan string // closed when it and all its workers have ended
	out   *os.File    // where lines come from
}

// startOutside starts a supervisor and returns it once its two workers are ready.
func startOutside(t *testing.T, workers, drain string) *outside {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	pr, pw, err := os.Pipe()
	require.NoError(t, err)
	o := &outside{Cmd: exec.Command(self), lines: make(chan string, 1000), out: pr}
	roleEnv(t, workers)
	o.Env = roleEnv(t, "supervisor", "WORKER_ROLE="+workers, "DRAIN="+drain)
	o.Stdout, o.Stderr = pw, pw
	helper(t, o.Cmd)
	pw.Close()
	t.Cleanup(func() { pr.Close() })
	go func() {
		defer close(o.lines)
		for sc := bufio.NewScanner(pr); sc.Scan(); {
			o.lines <- sc.Text()
		}
	}()
	o.addr = strings.TrimPrefix(o.expect(t, "addr "), "addr ")
	for range 2 {
		o.expect(t, "worker ready")
	}
	return o
}

// expect returns the next line that contains what.
func (o *outside) expect(t *testing.T, what string) string {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-o.lines:
			require.True(t, ok, "ended before %q", what)
			if strings.Contains(line, what) {
				return line
			}
		case <-timeout:
			require.Fail(t, "timed out", what)
		}
	}
}

// forget closes the pipe to which it writes.
func (o *outside) forget(t *testing.T) {
	t.Helper()
	require.NoError(t, o.out.Close())
	for range o.lines {
	}
}

// gone waits until every process that holds the output has ended.
func (o *outside) gone(t *testing.T) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case _, ok := <-o.lines:
			if !ok {
				_, err := net.Dial("tcp", o.addr)
				require.ErrorIs(t, err, syscall.ECONNREFUSED)
				return
			}
		case <-timeout:
			require.Fail(t, "workers outlive their supervisor")
		}
	}
}

func TestSignals(t *testing.T) {
	o := startOutside(t, "server", "20s")
	require.NoError(t, o.Process.Signal(syscall.SIGHUP))
	for _, slot := range []int{0, 1} {
		o.expect(t, fmt.Sprintf("worker started\" slot=%d", slot))
		o.expect(t, fmt.Sprintf("worker exited\" slot=%d", slot))
	}
	require.NoError(t, o.Process.Signal(syscall.SIGTERM))
	o.expect(t, "ended <nil>")
	require.NoError(t, o.Wait())
	o.gone(t)
}

func TestSecondSignalKills(t *testing.T) {
	o := startOutside(t, "deaf", "1h")
	require.NoError(t, o.Process.Signal(syscall.SIGTERM))
	o.expect(t, "draining")
	require.NoError(t, o.Process.Signal(syscall.SIGTERM)) // as timeout(1) does
	o.expect(t, "draining continues")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // keep asking
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = o.Process.Signal(syscall.SIGINT)
			case <-stop:
				return
			}
		}
	})
	o.expect(t, "ended "+ErrNotDrained.Error())
	close(stop)
	wg.Wait()
	require.NoError(t, o.Wait())
	o.gone(t)
}

func TestWorkersDieWithSupervisor(t *testing.T) {
	t.Run("draining", func(t *testing.T) {
		o := startOutside(t, "server", "1h")
		require.NoError(t, o.Process.Kill())
		o.gone(t)
	})
	t.Run("deaf to SIGTERM", func(t *testing.T) {
		o := startOutside(t, "deaf", "50ms")
		require.NoError(t, o.Process.Kill())
		o.gone(t)
	})
}

func TestReaping(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("orphans are reaped on Linux only")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	check := func(t *testing.T, want string, env []string, argv ...string) {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(env, "ORPHANS="+t.TempDir())
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), want)
	}
	t.Run("subreaper", func(t *testing.T) {
		check(t, "all reaped", roleEnv(t, "init", "SUBREAPER=1"), self)
	})
	t.Run("PID 1", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("a PID namespace needs root")
		}
		unshare, err := exec.LookPath("unshare")
		if err != nil {
			t.Skip("no unshare(1)")
		}
		argv := []string{unshare, "--pid", "--fork", "--mount-proc", "--kill-child"}
		if out, err := exec.Command(argv[0], append(argv[1:], "true")...).CombinedOutput(); err != nil {
			t.Skipf("no PID namespaces here: %v: %s", err, out)
		}
		check(t, "all reaped, pid 1\n", roleEnv(t, "init"), append(argv, self)...)
	})
}

// TestTwoSignalsAtOnceDrain: a worker that needs a moment finishes even if SIGTERM
// comes twice.
func TestTwoSignalsAtOnceDrain(t *testing.T) {
	o := startOutside(t, "server", "20s")
	file := filepath.Join(t.TempDir(), "release")
	resp, err := client.Get("http://" + o.addr + "/hold?file=" + file)
	require.NoError(t, err)
	defer resp.Body.Close()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM} {
		require.NoError(t, o.Process.Signal(sig))
		o.expect(t, "signal signal=")
	}
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "begun\ndone\n", string(body))
	o.expect(t, "ended <nil>")
	require.NoError(t, o.Wait())
}

// TestLogWithoutReader: a supervisor whose log has no reader keeps running.
func TestLogWithoutReader(t *testing.T) {
	o := startOutside(t, "server", "20s")
	o.forget(t)
	seen := func() map[string]bool {
		pids := map[string]bool{}
		for range 20 {
			if answer, err := get("http://" + o.addr); err == nil {
				pids[answer] = true
			}
		}
		return pids
	}
	before := seen()
	for answer := range before { // each replacement is logged
		_, pid, _ := strings.Cut(answer, " ")
		n, err := strconv.Atoi(pid)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(n, syscall.SIGKILL))
	}
	eventually(t, "others answer", func() bool {
		for answer := range seen() {
			if !before[answer] {
				return true
			}
		}
		return false
	})
	require.NoError(t, o.Process.Signal(syscall.Signal(0)), "it lives")
}

// TestWorkersHaveDefaultSIGPIPE: workers do not inherit how the supervisor handles
// SIGPIPE.
func TestWorkersHaveDefaultSIGPIPE(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only /proc tells")
	}
	file := filepath.Join(t.TempDir(), "status")
	s, err := New(Options{
		Workers: 1, Command: "/bin/sh", Args: []string{"-c", `cat /proc/self/status >"$0.tmp"; mv "$0.tmp" "$0"; exec sleep 1000`, file},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.RunWithSignals(ctx) }()
	var status []byte
	eventually(t, "the worker has told", func() bool {
		status, err = os.ReadFile(file)
		return err == nil
	})
	cancel()
	require.NoError(t, <-ended)
	for _, field := range []string{"SigIgn:", "SigBlk:"} {
		_, rest, ok := strings.Cut(string(status), field)
		require.True(t, ok)
		mask, err := strconv.ParseUint(strings.TrimSpace(rest[:strings.IndexByte(rest, '\n')]), 16, 64)
		require.NoError(t, err)
		require.Zero(t, mask&(1<<(syscall.SIGPIPE-1)), field)
	}
}
