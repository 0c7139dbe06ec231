package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// TestCelery: the counts of Celery's short-lived processes are merged and compacted without
// a hook, while Celery runs and after it has ended.
func TestCelery(t *testing.T) {
	needPython(t, "celery")
	mpctl(t) // to build it may take as long as a condition has time
	dir := t.TempDir()
	apps, err := filepath.Abs("testdata/python")
	require.NoError(t, err)
	env := append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir, "BROKER_DIR="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+apps)
	send := exec.Command(python, "testdata/python/celery_app.py")
	send.Env = env
	out, err := send.CombinedOutput()
	require.NoError(t, err, "%s", out)

	var log strings.Builder
	worker := exec.Command(python, "-m", "celery", "-A", "celery_app", "worker", "--loglevel", "warning")
	worker.Env, worker.Stdout, worker.Stderr = env, &log, &log
	require.NoError(t, worker.Start())
	ended := false
	defer func() {
		if !ended {
			worker.Process.Signal(syscall.SIGTERM)
			worker.Wait()
		}
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	const done = `celery_done_total{queue="mail"}`
	eventually(t, "all tasks are done", func() bool { return samples(t, a)[done] == 40 })
	require.Greater(t, dbFiles(t, dir), 8*2, "processes were replaced")
	eventually(t, "the files of all but the main process and its three are compacted", func() bool {
		gcPython(t, dir)
		return dbFiles(t, dir) <= 4*2
	})
	got := samples(t, a)
	require.EqualValues(t, 40, got[done])
	require.LessOrEqual(t, got["celery_seen"], 3.0)

	require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
	ended = true
	require.NoError(t, worker.Wait())
	gcPython(t, dir)
	require.Zero(t, dbFiles(t, dir))
	require.Equal(t, map[string]float64{done: 40}, samples(t, a))
}
