//go:build unix

package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// The hooks that mark gunicorn's workers dead after they have ended: with client_python,
// and with mpctl as in docs/client_python.md.
const (
	ownHook   = "testdata/python/gunicorn_conf.py"
	mpctlHook = "../docs/client_python/gunicorn_conf.py"
)

// gunicornOf returns gunicorn with an application of testdata/python.
func gunicornOf(hook, app, modules string, more ...string) server {
	return server{modules: modules, argv: func(address, _ string) []string {
		return append([]string{"/usr/bin/gunicorn", "-w", "4", "-b", address, "-c", hook, app + ":app"}, more...)
	}}
}

// underGunicorn compares, and then checks that only living workers have live gauges.
func underGunicorn(t *testing.T, kills int, s server) {
	f := newFleet(t)
	a := f.reloadAndKill(f.start(s), kills)
	f.living(a, 4)
	f.equal(a)
}

// reloadAndKill compares the merged view of a server's workers with what their clients saw,
// and with client_python's own collector, which reads only what its version writes. It
// compares exactly at first, then after a reload under load, then after kills.
func (f *fleet) reloadAndKill(process *os.Process, kills int) *aggregate.Aggregator {
	f.t.Helper()
	a := f.open()
	f.send(400)
	f.exact(a)
	f.reload(func() { process.Signal(syscall.SIGHUP) })
	f.equal(a)
	f.kill(400, kills)
	f.equal(a)
	return a
}

func TestGunicorn(t *testing.T) { underGunicorn(t, 20, gunicornOf(ownHook, "app", "")) }

func TestFlask(t *testing.T) { underGunicorn(t, 8, gunicornOf(mpctlHook, "flask_app", "flask")) }

func TestFastAPI(t *testing.T) {
	underGunicorn(t, 8, gunicornOf(ownHook, "fastapi_app", "fastapi uvicorn", "-k", "uvicorn.workers.UvicornWorker"))
}

// TestUvicorn runs FastAPI under uvicorn alone, which does not replace dead processes.
func TestUvicorn(t *testing.T) {
	f := newFleet(t)
	f.start(server{modules: "fastapi uvicorn", argv: func(address, apps string) []string {
		host, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		return []string{python, "-m", "uvicorn", "fastapi_app:app", "--workers", "4", "--host", host, "--port", port}
	}})
	a := f.open()
	f.send(400)
	f.exact(a)
}

// TestUwsgi is the comparison for uWSGI. Without lazy-apps, the master has loaded the
// application too, so it has files whose values stay 0. Nothing marks dead workers, so
// their live gauges stay until mpctl does.
func TestUwsgi(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		master int // other processes with files
	}{
		{"preloaded", nil, 1},
		{"lazy-apps", []string{"--lazy-apps"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			process := f.start(server{argv: func(address, _ string) []string {
				return append([]string{"/usr/bin/uwsgi", "--plugin", "python3", "--master", "--workers", "4", "--need-app",
					"--http-socket", address, "--module", "app:app", "--die-on-term", "--disable-logging"}, c.args...)
			}})
			a := f.reloadAndKill(process, 4)
			_, err := os.Stat(filepath.Join(f.dir, "gauge_all_"+strconv.Itoa(process.Pid)+".db"))
			require.Equal(t, c.master == 1, err == nil, "the master has files: %v", err)

			var dead []int
			eventually(t, "the killed are reaped", func() bool {
				dead = gone(f.workers())
				return len(gone(f.killedWorkers())) == 4
			})
			f.markDead(dead)
			f.equal(a)
			for _, pid := range dead {
				require.NotContains(t, samples(t, a), fmt.Sprintf(`py_liveall{pid="%d"}`, pid))
				require.Contains(t, samples(t, a), fmt.Sprintf(`py_all{pid="%d"}`, pid))
			}
		})
	}
}
