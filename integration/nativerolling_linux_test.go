package integration

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// watch gathers all the time, until stop is called, which returns how often it did. No number may
// ever fall. Each answered request is counted by every scrape that begins after the answer, and
// no scrape has more requests than were sent before it ended.
func (f *fleet) watch(a *aggregate.Aggregator) (stop func() int) {
	done, stopped := make(chan struct{}), make(chan int)
	go func() {
		last, scrapes := map[string]float64{}, 0
		defer func() { stopped <- scrapes }()
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond): // the servers need the processor too
			}
			answered := float64(f.answered.Load())
			families, err := a.Gather(f.t.Context())
			if err != nil {
				f.t.Error(err)
				return
			}
			now, requests := cumulative(families), 0.0
			for series, v := range now {
				if strings.HasPrefix(series, "py_requests_total") {
					requests += v
				}
			}
			// A client that has its answer, or that waits for one, is in neither number.
			sent := float64(f.answered.Load()+f.broken.Load()) + clients
			if requests < answered || requests > sent {
				f.t.Errorf("%v requests are shown, of %v that were answered before and %v that were sent", requests, answered, sent)
				return
			}
			for series, v := range last {
				if !(now[series] >= v) {
					f.t.Errorf("%s fell from %v to %v", series, v, now[series])
					return
				}
			}
			last, scrapes = now, scrapes+1
		}
	}()
	return sync.OnceValue(func() int {
		close(done)
		return <-stopped
	})
}

// TestRollingChangeToNativeFiles: while clients send requests, workers with .db files are replaced
// by native ones in the same directory. Every number is exact at each scrape, and none ever falls.
func TestRollingChangeToNativeFiles(t *testing.T) {
	f := newFleet(t)
	old := f.start(gunicornOf(ownHook, "app", ""))
	a := f.open()
	startCompactor(t, f.dir, aggregate.CompactorOptions{
		CompactOptions: aggregate.CompactOptions{Threshold: 1, Python: true}, Period: 50 * time.Millisecond,
	})
	f.send(200)
	f.start(nativeServers(t)["gunicorn"])

	stop := f.watch(a)
	f.send(400) // to both
	f.urls = f.urls[1:]
	var changed atomic.Bool
	var load sync.WaitGroup
	load.Go(func() { f.load(func(int64) bool { return !changed.Load() }, func(int) {}) })
	require.NoError(t, old.Signal(syscall.SIGTERM))
	eventually(t, "no file of the old workers is left", func() bool { return dbFiles(t, f.dir) == 0 })
	changed.Store(true)
	load.Wait()
	f.send(100)
	require.Greater(t, stop(), 10)
	require.Zero(t, f.broken.Load())
	f.log(f.counted(serve(t, a)), "from .db files to native ones")
}

// TestReloadToNativeFiles: two gunicorns get a configuration that installs the native writer and
// are told to reload, one after the other, while clients send requests and workers of both kinds
// are killed. MULTIPROM_PYTHON_KILLS says how many, in each of five parts.
func TestReloadToNativeFiles(t *testing.T) {
	kills := pythonKills(t)
	f := newFleet(t)
	apps, err := filepath.Abs("testdata/python")
	require.NoError(t, err)
	hook, err := os.ReadFile(ownHook)
	require.NoError(t, err)
	var confs []string
	var masters []*os.Process
	for range 2 {
		conf := filepath.Join(t.TempDir(), "gunicorn_conf.py")
		require.NoError(t, os.WriteFile(conf, hook, 0o600))
		s := gunicornOf(conf, "app", "")
		s.env = []string{"PYTHONPATH=" + apps + ":" + writerOf(t)}
		confs, masters = append(confs, conf), append(masters, f.start(s))
	}
	a := f.open()
	startCompactor(t, f.dir, aggregate.CompactorOptions{
		CompactOptions: aggregate.CompactOptions{Threshold: 1, Python: true}, Period: 50 * time.Millisecond,
	})
	f.send(200)
	require.Zero(t, f.broken.Load())
	require.Empty(t, native(t, f.dir))
	stop := f.watch(a)
	reload := func(i int) {
		require.NoError(t, os.WriteFile(confs[i], append(hook, "\nimport multiprom_client\n\nmultiprom_client.install()\n"...), 0o600))
		f.mu.Lock()
		old := map[int]bool{}
		for pid, w := range f.seen {
			old[pid] = w.url == f.urls[i]
		}
		f.mu.Unlock()
		var changed atomic.Bool
		var left atomic.Int64
		left.Store(int64(kills))
		var load sync.WaitGroup
		load.Go(func() {
			f.load(func(int64) bool { return !changed.Load() || left.Load() > 0 }, f.killer(int64(4*kills), kills, &left))
		})
		require.NoError(t, masters[i].Signal(syscall.SIGHUP))
		eventually(t, "the old workers are gone", func() bool {
			for pid, ours := range old {
				if ours && len(gone([]int{pid})) == 0 {
					return false
				}
			}
			return len(native(t, f.dir)) > 0
		})
		changed.Store(true)
		load.Wait()
	}
	f.kill(int64(4*kills), kills)
	reload(0)
	require.Positive(t, dbFiles(t, f.dir), "the other gunicorn has .db files")
	f.kill(int64(4*kills), kills) // of both kinds
	reload(1)
	eventually(t, "only native files are left", func() bool { return dbFiles(t, f.dir) == 0 })
	f.kill(int64(4*kills), kills)
	scrapes := stop()
	require.Greater(t, scrapes, 10)
	t.Logf("%d scrapes, each exact, none fell", scrapes)
	f.log(f.counted(serve(t, a)), "from .db files to native ones, by SIGHUP")
}
