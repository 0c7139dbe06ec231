package integration

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// pythonKills is how many workers a test kills.
func pythonKills(t *testing.T) int {
	text := os.Getenv("MULTIPROM_PYTHON_KILLS")
	if text == "" {
		return 4
	}
	kills, err := strconv.Atoi(text)
	require.NoError(t, err)
	return kills
}

// TestNativeCeleryKilled: the processes of Celery's pool are killed while they count. No update
// that a process has noted is lost, none is counted twice, and nothing keeps a dead one's lock.
func TestNativeCeleryKilled(t *testing.T) {
	needPython(t, "celery")
	kills := pythonKills(t)
	dir, broker := t.TempDir(), t.TempDir()
	env := append(append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir, "BROKER_DIR="+broker, "PYTHONDONTWRITEBYTECODE=1"), nativeEnv(t)...)
	send := exec.Command(python, "testdata/python/celery_killed.py", strconv.Itoa(40+20*kills))
	send.Env = env
	out, err := send.CombinedOutput()
	require.NoError(t, err, "%s", out)

	var log strings.Builder
	worker := exec.Command(python, "-m", "celery", "-A", "celery_killed", "worker", "--loglevel", "warning")
	worker.Env, worker.Stdout, worker.Stderr = env, &log, &log
	worker.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, worker.Start())
	ended := false
	end := func() {
		if !ended {
			ended = true
			worker.Process.Signal(syscall.SIGTERM)
			// A process that was killed may have had a lock of Celery's. Then it waits for ever.
			late := time.AfterFunc(10*time.Second, func() { syscall.Kill(-worker.Process.Pid, syscall.SIGKILL) })
			worker.Wait()
			late.Stop()
		}
	}
	t.Cleanup(func() {
		end()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	// noted returns how many updates have begun and ended, and how many have begun in the tasks that
	// processes are in.
	noted := func() (before, after int, busy map[int]int) {
		text, err := os.ReadFile(filepath.Join(broker, "notes"))
		require.NoError(t, err)
		busy = map[int]int{}
		for line := range strings.Lines(string(text)) {
			var what string
			var pid int
			if n, _ := fmt.Sscanf(line, "%s %d\n", &what, &pid); n < 2 {
				continue // half a line
			}
			switch what {
			case "begin":
				busy[pid] = 0
			case "before":
				before++
				busy[pid]++
			case "after":
				after++
			case "end":
				delete(busy, pid)
			}
		}
		return before, after, busy
	}
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	startCompactor(t, dir, aggregate.CompactorOptions{CompactOptions: aggregate.CompactOptions{Threshold: 1}})
	killed := map[int]bool{}
	for len(killed) < kills {
		// Between two tasks a process has a lock of Celery's. If it is killed there, no other gets a
		// task, ever. So it is stopped first, and killed if it is in a task. Of the 200 updates of a
		// task, a kill is after any number.
		victim, updates := 0, rand.IntN(180)
		eventually(t, "a process counts that was not killed", func() bool {
			_, _, busy := noted()
			for pid, n := range busy {
				if n < updates || killed[pid] || syscall.Kill(pid, syscall.SIGSTOP) != nil {
					continue
				}
				eventually(t, "it has stopped", func() bool { return isStopped(pid) })
				_, _, busy = noted()
				if n, in := busy[pid]; in {
					if n > 0 {
						require.EqualValues(t, 1, samples(t, a)[fmt.Sprintf("celery_live{pid=%q}", strconv.Itoa(pid))])
					}
					victim = pid
					return true
				}
				require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
			}
			return false
		})
		require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
		killed[victim] = true
		live := `celery_live{pid="` + strconv.Itoa(victim) + `"}`
		eventually(t, "its live gauge is gone", func() bool { return samples(t, a)[live] == 0 })
	}
	end()
	before, after, _ := noted()
	require.LessOrEqual(t, before-after, kills+3, "one of each process that was killed, also at the end")
	require.Greater(t, after, 20*kills, "they count before they are killed")
	check := func() {
		t.Helper()
		got := samples(t, a)["celery_updates_total"]
		require.GreaterOrEqual(t, got, float64(after))
		require.LessOrEqual(t, got, float64(before))
		require.Zero(t, countPrefix(samples(t, a), "celery_live"))
	}
	check()
	native(t, dir)
	_, err = aggregate.Compact(t.Context(), dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	require.Empty(t, native(t, dir), "all have ended")
	check()
	t.Logf("%d killed, %d updates noted, %d begun", kills, after, before)
}

// isStopped reports whether a process has been stopped by a signal.
func isStopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, found := strings.Cut(string(stat), ") ")
	return err == nil && found && strings.HasPrefix(state, "T")
}

// TestNativePreload: with gunicorn --preload, what the parent counts while it imports the
// application is in its own file. Its workers start at zero, and do not keep its lock.
func TestNativePreload(t *testing.T) {
	f := newFleet(t)
	parent := f.start(server{env: nativeEnv(t), argv: func(address, _ string) []string {
		return []string{"/usr/bin/gunicorn", "-w", "3", "--preload", "-b", address, "preloaded_app:app"}
	}})
	a := f.open()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	counted := map[int]int{} // by worker, as it says itself
	eventually(t, "three workers have answered", func() bool {
		resp, err := client.Get(f.urls[0])
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		var pid, n int
		_, err = fmt.Sscanf(string(text), "%d %d", &pid, &n)
		require.NoError(t, err)
		require.Equal(t, counted[pid]+1, n, "a worker starts at zero")
		counted[pid] = n
		return len(counted) == 3
	})
	require.Len(t, native(t, f.dir), 4)
	requests := 1000
	for _, n := range counted {
		requests += n
	}
	got := samples(t, a)
	require.EqualValues(t, 1, got["preload_boots_total"])
	require.EqualValues(t, requests, got["preload_requests_total"])
	require.Equal(t, 4, countPrefix(got, "preload_live"))

	require.NoError(t, parent.Kill())
	_, err := parent.Wait()
	require.NoError(t, err)
	require.NotContains(t, samples(t, a), `preload_live{pid="`+strconv.Itoa(parent.Pid)+`"}`)
	eventually(t, "the workers see that their parent is gone, and end", func() bool {
		return countPrefix(samples(t, a), "preload_live") == 0
	})
	require.EqualValues(t, requests, samples(t, a)["preload_requests_total"])
}
