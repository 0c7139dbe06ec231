//go:build unix

package supervisor

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// outside is a supervisor in a process of its own, and its output.
type outside struct {
	*exec.Cmd
	addr  string
	lines chan string // closed when it and all its workers have ended
}

// startOutside returns one whose two workers are ready.
func startOutside(t *testing.T, workers, drain string) *outside {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	pr, pw, err := os.Pipe()
	require.NoError(t, err)
	o := &outside{Cmd: exec.Command(self), lines: make(chan string, 1000)}
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
	require.NoError(t, o.Process.Signal(syscall.SIGINT))
	o.expect(t, "ended "+ErrNotDrained.Error())
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
