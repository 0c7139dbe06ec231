package integration

import (
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

// nativeEnv has the applications of testdata/python write native files, unchanged: a line in
// sitecustomize.py and a variable.
func nativeEnv(t testing.TB) []string {
	t.Helper()
	apps, err := filepath.Abs("testdata/python")
	require.NoError(t, err)
	path := strings.Join([]string{apps, filepath.Join(apps, "site"), writerOf(t)}, ":")
	return []string{"PYTHONPATH=" + path, "PROMETHEUS_MULTIPROC_FORMAT=mpm"}
}

// nativeServers are real servers with four workers.
func nativeServers(t *testing.T) map[string]server {
	env := nativeEnv(t)
	gunicornWith := func(modules, app string, more ...string) server {
		return server{modules: modules, env: env, argv: func(address, _ string) []string {
			return append([]string{"/usr/bin/gunicorn", "-w", "4", "-b", address, app + ":app"}, more...)
		}}
	}
	gunicorn := func(more ...string) server { return gunicornWith("", "app", more...) }
	uwsgi := func(more ...string) server {
		return server{env: env, argv: func(address, _ string) []string {
			return append([]string{"/usr/bin/uwsgi", "--plugin", "python3", "--master", "--workers", "4", "--need-app",
				"--http-socket", address, "--module", "app:app", "--die-on-term", "--disable-logging"}, more...)
		}}
	}
	return map[string]server{
		"gunicorn": gunicorn(), "gunicorn preload": gunicorn("--preload", "--threads", "4"),
		"gunicorn gevent":  gunicornWith("gevent", "app", "-k", "gevent"),
		"gunicorn uvicorn": gunicornWith("fastapi uvicorn", "fastapi_app", "-k", "uvicorn.workers.UvicornWorker"),
		"uwsgi":            uwsgi(), "uwsgi lazy-apps": uwsgi("--lazy-apps", "--worker-reload-mercy", "2"),
	}
}

// TestNativePythonFleets: with real servers, whose workers are killed while they count, every
// number of the merged view is exact, live gauges go without a hook, and the directory is
// bounded. MULTIPROM_PYTHON_KILLS says how many workers of each of the six servers are killed.
func TestNativePythonFleets(t *testing.T) {
	kills := pythonKills(t)
	for name, s := range nativeServers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a server takes a second or more to replace a worker
			f := newFleet(t)
			process := f.start(s)
			a := f.open()
			f.send(200)
			require.Zero(t, f.broken.Load())
			f.counted(serve(t, a))
			f.living(a, len(f.workers()))

			f.reload(func() { process.Signal(syscall.SIGHUP) })
			f.counted(serve(t, a))
			startCompactor(t, f.dir, aggregate.CompactorOptions{
				CompactOptions: aggregate.CompactOptions{Threshold: 1}, Period: 50 * time.Millisecond,
			})
			f.kill(int64(4*kills), kills)
			var dead []int
			eventually(t, "the killed are reaped", func() bool {
				dead = gone(f.killedWorkers())
				return len(dead) == kills
			})
			got := samples(t, a)
			for _, pid := range dead {
				require.NotContains(t, got, `py_liveall{pid="`+strconv.Itoa(pid)+`"}`, "a live gauge goes at once")
			}
			f.send(200) // workers that have never counted have no file
			eventually(t, "the files are bounded", func() bool {
				entries, err := os.ReadDir(f.dir)
				require.NoError(t, err)
				return len(entries) <= 4+3
			})
			native(t, f.dir)
			require.Zero(t, dbFiles(t, f.dir))
			f.log(f.counted(serve(t, a)), "native files")
		})
	}
}

// TestNativeCelery: Celery's short-lived processes count exactly, and its main process has no
// file.
func TestNativeCelery(t *testing.T) {
	needPython(t, "celery")
	dir := t.TempDir()
	env := append(append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir, "BROKER_DIR="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1"), nativeEnv(t)...)
	send := exec.Command(python, "testdata/python/celery_app.py")
	send.Env = env
	out, err := send.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, native(t, dir))

	var log strings.Builder
	worker := exec.Command(python, "-m", "celery", "-A", "celery_app", "worker", "--loglevel", "warning")
	worker.Env, worker.Stdout, worker.Stderr = env, &log, &log
	require.NoError(t, worker.Start())
	t.Cleanup(func() {
		worker.Process.Signal(syscall.SIGTERM)
		worker.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	eventually(t, "all tasks are done", func() bool { return samples(t, a)[`celery_done_total{queue="mail"}`] == 40 })
	eventually(t, "only living processes have files", func() bool {
		_, err := aggregate.Compact(t.Context(), dir, aggregate.CompactOptions{})
		require.NoError(t, err)
		return len(native(t, dir)) <= 3
	})
	got := samples(t, a)
	require.EqualValues(t, 40, got[`celery_done_total{queue="mail"}`])
	require.LessOrEqual(t, got["celery_seen"], 3.0)
	require.Zero(t, dbFiles(t, dir))
}
