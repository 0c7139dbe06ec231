package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// shown is the directory of the files that docs/client_python.md shows.
const shown = "../docs/client_python/"

// TestShownUwsgi: with the ini file, uWSGI starts mpctl and ends it, without a hook.
func TestShownUwsgi(t *testing.T) {
	ini, err := os.ReadFile(shown + "uwsgi.ini")
	require.NoError(t, err)
	metrics := freeAddress(t)
	text := strings.NewReplacer("127.0.0.1:9108", metrics, "--reap-python", "--reap-python --compact-period 50ms").Replace(string(ini))
	path := filepath.Join(t.TempDir(), "uwsgi.ini")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	f := newFleet(t)
	process := f.start(server{argv: func(address, _ string) []string {
		return []string{"/usr/bin/uwsgi", "--plugin", "python3", "--ini", path, "--http-socket", address, "--die-on-term",
			"--worker-reload-mercy", "2", "--disable-logging"} // a worker that is just starting may miss the signal
	}})
	f.kill(400, 4)
	f.waitCompacted(metrics, 4)
	require.NoError(t, process.Signal(syscall.SIGTERM))
	eventually(t, "mpctl ends with uWSGI", func() bool {
		c, err := net.Dial("tcp", metrics)
		return err != nil || c.Close() != nil
	})
}

// waitCompacted waits until `mpctl serve` has compacted that many dead workers and only the
// four count as alive. Then it compares its numbers with the clients'.
func (f *fleet) waitCompacted(address string, dead float64) {
	f.t.Helper()
	var text []byte
	eventually(f.t, fmt.Sprintf("%v dead workers are compacted", dead), func() bool {
		code, body := get(f.t, request(f.t, "http://"+address+"/metrics"))
		require.Equal(f.t, http.StatusOK, code, body)
		text = []byte(body)
		return valueOf(f.t, text, "multiprom_compacted_processes_total") >= dead && len(vectorOf(f.t, text, "py_liveall")) == 4
	})
	f.log(f.counted(text), "compacted")
}

// container is a container of sidecar.yaml.
type container struct {
	Command []string
	Env     []struct{ Name, Value string }

	SecurityContext struct{ RunAsUser, RunAsGroup int }
}

// pod runs sidecar.yaml as Kubernetes does: each container as its user and in its own PID
// namespace, with a volume that everyone may write.
type pod struct {
	t    *testing.T
	root string // files that its users may read
	Spec struct {
		SecurityContext            struct{ FSGroup int }
		InitContainers, Containers []container
	}
}

func newPod(t *testing.T) *pod {
	t.Helper()
	needRoot(t)
	probe, err := exec.Command(needCommand(t, "unshare"), "--pid", "--fork", "--mount-proc", "true").CombinedOutput()
	need(t, err == nil, "making PID namespaces is not permitted: "+strings.TrimSpace(string(probe)))
	needPython(t, "yaml")
	out, err := exec.Command(python, "-c", "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)", shown+"sidecar.yaml").Output()
	require.NoError(t, err)
	p := &pod{t: t}
	require.NoError(t, json.Unmarshal(out, p))
	p.root, err = os.MkdirTemp("", "pod")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(p.root)) })
	require.NoError(t, os.Chmod(p.root, 0o755))
	volume := p.root + "/metrics"
	require.NoError(t, os.Mkdir(volume, 0o755))
	require.NoError(t, os.Chown(volume, 0, p.Spec.SecurityContext.FSGroup))
	require.NoError(t, os.Chmod(volume, 0o777|os.ModeSetgid))
	for _, file := range []string{mpctl(t), "testdata/python/app.py", "testdata/python/metrics.py"} {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(p.root, filepath.Base(file)), b, 0o755))
		require.NoError(t, os.Chmod(filepath.Join(p.root, filepath.Base(file)), 0o755))
	}
	return p
}

// inside returns the path on this system of a path in a container.
func (p *pod) inside(s string) string { return strings.ReplaceAll(s, "/metrics/", p.root+"/metrics/") }

// command returns the container's command with additional arguments.
func (p *pod) command(c container, more ...string) *exec.Cmd {
	args := []string{"--pid", "--fork", "--mount-proc",
		"setpriv", "--reuid", strconv.Itoa(c.SecurityContext.RunAsUser), "--regid", strconv.Itoa(c.SecurityContext.RunAsGroup),
		"--groups", strconv.Itoa(p.Spec.SecurityContext.FSGroup), "--inh-caps", "-all", "--no-new-privs"}
	for _, arg := range c.Command {
		args = append(args, p.inside(arg))
	}
	cmd := exec.Command(needCommand(p.t, "unshare"), append(args, more...)...)
	cmd.Dir = p.root
	cmd.Env = []string{"PATH=" + p.root + ":/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"}
	for _, e := range c.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+p.inside(e.Value))
	}
	return cmd
}

// start runs a container until the end of the test.
func (p *pod) start(cmd *exec.Cmd) {
	p.t.Helper()
	log, err := os.CreateTemp(p.t.TempDir(), "log")
	require.NoError(p.t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(p.t, cmd.Start())
	p.t.Cleanup(func() {
		for _, first := range children(p.t, cmd.Process.Pid) {
			syscall.Kill(first, syscall.SIGKILL) // and with it all of its namespace
		}
		cmd.Wait()
		if p.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			p.t.Logf("%s", text)
		}
	})
}

// children returns the pids of a process's children in this namespace.
func children(t *testing.T, pid int) (out []int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	require.NoError(t, err)
	for _, s := range strings.Fields(string(b)) {
		child, err := strconv.Atoi(s)
		require.NoError(t, err)
		out = append(out, child)
	}
	return out
}

// innerPID returns the pid that a process has in its own namespace.
func innerPID(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(b), "NSpid:")
	require.True(t, found)
	line, _, _ := strings.Cut(rest, "\n")
	pids := strings.Fields(line)
	return pids[len(pids)-1]
}

// TestShownSidecar: a sidecar in its own PID namespace compacts dead workers if it runs as
// the application's user. As another user of the group it reads the files, and compacts
// those that were marked.
func TestShownSidecar(t *testing.T) {
	for _, c := range []struct {
		name string
		mine bool // the sidecar runs as the application's user
	}{{"the same user", true}, {"another user", false}} {
		t.Run(c.name, func(t *testing.T) {
			p := newPod(t)
			require.Len(t, p.Spec.InitContainers, 1)
			require.Len(t, p.Spec.Containers, 2)
			out, err := p.command(p.Spec.InitContainers[0]).CombinedOutput()
			require.NoError(t, err, "%s", out)

			f := newFleet(t)
			app, sidecar := p.Spec.Containers[0], p.Spec.Containers[1]
			address, metrics := freeAddress(t), freeAddress(t)
			running := p.command(app, "-b", address)
			p.start(running)
			f.listens(address)
			f.urls = []string{"http://" + address + "/"}
			if !c.mine {
				sidecar.SecurityContext.RunAsUser++
				sidecar.Command = append(sidecar.Command, "--trust-uid", strconv.Itoa(app.SecurityContext.RunAsUser))
			}
			for i := range sidecar.Command {
				sidecar.Command[i] = strings.Replace(sidecar.Command[i], ":9108", metrics, 1)
			}
			p.start(p.command(sidecar, "--compact-period", "50ms"))
			f.send(200)
			master := children(t, running.Process.Pid)[0]
			require.Equal(t, "1", innerPID(t, master))

			// A worker has files after it has served a request.
			allServe := func() {
				eventually(t, "all workers have served", func() bool {
					f.send(20)
					workers := children(t, master)
					for _, worker := range workers {
						if _, err := os.Stat(p.inside("/metrics/app/gauge_liveall_" + innerPID(t, worker) + ".db")); err != nil {
							return false
						}
					}
					return len(workers) == 4
				})
			}
			allServe()
			var dead []string
			for _, worker := range children(t, master)[:2] {
				dead = append(dead, innerPID(t, worker))
				require.NoError(t, syscall.Kill(worker, syscall.SIGKILL))
				eventually(t, "the worker is gone", func() bool { return errors.Is(syscall.Kill(worker, 0), syscall.ESRCH) })
			}
			if !c.mine {
				look := sidecar
				look.Command = []string{"mpctl", "gc", "--python", "--dry-run", "--dir", "/metrics/app"}
				// The sidecar's compactor may be at work.
				eventually(t, "a look says what is missing", func() bool {
					out, err := p.command(look).CombinedOutput()
					return err != nil && strings.Contains(string(out), "CAP_LEASE")
				})
				for _, id := range dead {
					mark := app
					mark.Command = []string{"mpctl", "mark-dead", id}
					out, err := p.command(mark).CombinedOutput()
					require.NoError(t, err, "%s", out)
				}
			}
			allServe()
			f.waitCompacted(metrics, 2)
		})
	}
}

// TestMarkDeadTakesNoPattern: client_python's mark_process_dead treats an id as a glob
// pattern, mpctl mark-dead does not.
func TestMarkDeadTakesNoPattern(t *testing.T) {
	needPython(t)
	const own, other = "gauge_liveall_web[1].db", "gauge_liveall_web1.db"
	marked := func(mark *exec.Cmd) (left []string) {
		dir := t.TempDir()
		for _, name := range []string{own, other} {
			b := pyfiletest.Simple.Content(pyfiletest.Sample{Key: `["g", "g", {}, "h"]`, Value: 1})
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		}
		mark.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
		out, err := mark.CombinedOutput()
		require.NoError(t, err, "%s", out)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			left = append(left, e.Name())
		}
		return left
	}
	require.Equal(t, []string{other}, marked(exec.Command(mpctl(t), "mark-dead", "web[1]")))
	require.Equal(t, []string{own}, marked(exec.Command(python, "-c",
		"from prometheus_client.multiprocess import mark_process_dead; mark_process_dead('web[1]')")))
}

// TestGoAndPythonDisagree: if schemas of a name differ, Python's is served, and what is
// left out is counted. Different buckets are merged. A gauge that was never set is 0 in
// Python's files and ignored in Go's.
func TestGoAndPythonDisagree(t *testing.T) {
	dir := t.TempDir()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	t.Cleanup(func() { require.NoError(t, set.Close()) })
	jobs, err := set.NewGauge(multiproc.GaugeOpts{Name: "jobs", Help: "Go's.", Mode: metric.ModeSum})
	require.NoError(t, err)
	jobs.Set(3)
	seconds, err := set.NewHistogram(multiproc.HistogramOpts{Name: "seconds", Help: "Go's.", Buckets: []float64{1}})
	require.NoError(t, err)
	seconds.Observe(0.5)
	for _, name := range []string{"unset_here", "unset_there"} {
		g, err := set.NewGauge(multiproc.GaugeOpts{Name: name, Help: "h", Mode: metric.ModeMin})
		require.NoError(t, err)
		if name == "unset_there" {
			g.Set(5)
		}
	}
	for name, samples := range map[string][]pyfiletest.Sample{
		"gauge_min_1.db": {{Key: `["unset_here", "unset_here", {}, "h"]`, Value: 5}, {Key: `["unset_there", "unset_there", {}, "h"]`}},
		"gauge_max_1.db": {{Key: `["jobs", "jobs", {}, "Python's."]`, Value: 2}},
		"histogram_1.db": {
			{Key: `["seconds", "seconds_sum", {}, "Python's."]`, Value: 1.5},
			{Key: `["seconds", "seconds_bucket", {"le": "2.0"}, "Python's."]`, Value: 1},
			{Key: `["seconds", "seconds_bucket", {"le": "+Inf"}, "Python's."]`, Value: 0},
		},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pyfiletest.Timed.Content(samples...), 0o600))
	}
	got := samples(t, open(t, dir))
	require.EqualValues(t, 2, got["jobs"])
	require.EqualValues(t, 5, got["unset_here"])
	require.EqualValues(t, 0, got["unset_there"])
	require.EqualValues(t, 1, got["multiprom_merge_conflicts_total"])
	require.EqualValues(t, 1, got[`seconds_bucket{le="1"}`])
	require.EqualValues(t, 2, got[`seconds_bucket{le="2"}`])
	require.EqualValues(t, 2, got["seconds_sum"])
}
