package aggregate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// dieAtStep is a helper process: it compacts or wipes, and dies by SIGKILL at the
// failpoint of that number. It prints the failpoints that it passes.
func dieAtStep(step string, work func() error) int {
	last, _ := strconv.Atoi(step) // none: it lives
	passed := 0
	compact.Failpoint = func(name string) {
		fmt.Println(name)
		if passed++; passed == last {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err != nil {
				panic(err)
			}
			select {} // the signal is on its way
		}
	}
	err := work()
	switch {
	case errors.Is(err, ErrBusy):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// runCompactor runs a compactor process that dies at that step; at 0 it lives. It
// returns the steps that it passed.
func runCompactor(t testing.TB, dir string, step int) []string {
	t.Helper()
	return runRole(t, "compactor", dir, step)
}

func runRole(t testing.TB, role, dir string, step int) []string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	var out, stderr bytes.Buffer
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), envRole+"="+role, envStep+"="+strconv.Itoa(step))
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err = cmd.Run()
	steps := strings.Fields(out.String())
	if step == 0 || len(steps) < step {
		require.NoError(t, err, stderr.String())
		return steps
	}
	require.Error(t, err, "it had to die at step %d", step)
	require.Empty(t, stderr.String())
	return steps
}

// traffic is a directory whose processes come and die while it is compacted and
// read, with what they have counted.
type traffic struct {
	t         testing.TB
	dir       string
	elsewhere string
	attempted atomic.Int64
	counted   atomic.Int64
	living    int

	mu          sync.Mutex
	differences []string
	scrapes     atomic.Int64
}

func newTraffic(t testing.TB) *traffic {
	return &traffic{t: t, dir: t.TempDir(), elsewhere: t.TempDir()}
}

// worker counts n in a store of its own in dir.
func (w *traffic) worker(dir string, n int64) *process {
	p := newProcess(w.t, dir, "slot", 1)
	c := p.add(counter("c"))
	h := p.add(histogramSchema("h", 1))
	v := p.add(&metric.Schema{Name: "n", Help: "N.", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: int(n % 9), MaxBuckets: 160}})
	w.attempted.Add(n)
	// In this order: a reader takes a file's words from the first to the last.
	atomic.AddUint64(&h.Words()[mpm.CellHistogramBuckets], uint64(n))
	atomic.AddUint64(&c.Words()[mpm.CellCounterInts], uint64(n))
	atomic.AddUint64(&v.AddRegion(histogram.Region{Schema: int(n % 9), Number: int32(n % 3)})[n%8], uint64(n))
	return p
}

// live starts a worker that stays.
func (w *traffic) live(n int64) {
	w.worker(w.dir, n)
	w.counted.Add(n)
	w.living++
}

// dead starts a worker and lets it die: its file appears without a lock.
func (w *traffic) dead(n int64) {
	p := w.worker(w.elsewhere, n)
	die(w.t, p.Store, w.dir)
	require.NoError(w.t, os.Remove(p.Path()))
	w.counted.Add(n)
}

// read scrapes until stop is closed: once with a reader that keeps what it
// learned, once with a new one.
func (w *traffic) read(stop <-chan struct{}, wg *sync.WaitGroup) {
	defer wg.Done()
	warm := openDir(w.t, w.dir, Options{})
	var last float64
	for {
		select {
		case <-stop:
			return
		default:
		}
		for _, a := range []*Aggregator{warm, newAggregator(w.dir, Options{})} {
			low := w.counted.Load()
			families, err := a.Gather(context.Background())
			high := w.attempted.Load()
			got := flatten(families)
			c, h, v := got["c_total"], got["h_count"], got["n_count"]
			if err != nil || c < float64(low) || c > float64(high) || c < last || h < float64(low) || h > float64(high) || v < float64(low) || v > float64(high) {
				w.differ("counted %d to %d, before %v: a scrape says %v, %v and %v, %v", low, high, last, c, h, v, err)
			}
			last = c
			w.scrapes.Add(1)
			if a != warm {
				a.Close()
			}
		}
	}
}

func (w *traffic) differ(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.differences) > 10 {
		return // the first ones tell enough
	}
	w.differences = append(w.differences, fmt.Sprintf(format, args...))
}

// settled checks that all is counted, and with nobody dead left to compact.
func (w *traffic) settled() {
	w.t.Helper()
	want := w.counted.Load()
	got := gather(w.t, openDir(w.t, w.dir, Options{}))
	require.EqualValues(w.t, want, got["c_total"])
	require.EqualValues(w.t, want, got["h_count"])
	require.EqualValues(w.t, want, got["n_count"])
}

// watched runs fn while two readers scrape.
func (w *traffic) watched(fn func()) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer func() {
		close(stop)
		wg.Wait()
		require.Empty(w.t, w.differences)
	}()
	for range 2 {
		wg.Add(1)
		go w.read(stop, &wg)
	}
	fn()
}

// TestCompactorKilledAtEveryStep kills a compactor at each step of the protocol,
// beside readers and starting workers.
func TestCompactorKilledAtEveryStep(t *testing.T) {
	const dead = 3
	w := newTraffic(t)
	for range dead {
		w.dead(10)
	}
	steps := runCompactor(t, w.dir, 0)
	require.Equal(t, []string{"opened", "locked", "scanned", "staged", "committed", "synced", "removing", "removing", "removing", "removed", "reserved"}, steps)
	for step := range steps {
		t.Run(fmt.Sprintf("%d-%s", step+1, steps[step]), func(t *testing.T) {
			w := newTraffic(t)
			w.live(1)
			w.watched(func() {
				for range dead {
					w.dead(10)
				}
				runCompactor(t, w.dir, step+1)
				w.settled()
				w.live(100)
				w.dead(1000)
				w.settled()
				runCompactor(t, w.dir, 0)
				w.settled()
			})
			require.Len(t, names(t, w.dir), w.living+2, "the living, the archive, and room for the next")
		})
	}
}

// TestRandomSchedules kills compactors at random steps in one directory that goes
// on, beside readers and starting workers. MULTIPROM_SCHEDULES is how often.
func TestRandomSchedules(t *testing.T) {
	schedules := 40
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		schedules = n
	}
	r := rand.New(rand.NewPCG(rand.Uint64(), 1))
	w := newTraffic(t)
	kills := 0
	w.watched(func() {
		for i := range schedules {
			if i%50 == 0 {
				w.live(r.Int64N(1000))
			}
			for range r.IntN(6) {
				w.dead(r.Int64N(1000))
			}
			if r.IntN(4) == 0 {
				require.NoError(t, os.WriteFile(filepath.Join(w.dir, "archive.mpm.tmp"), []byte("\x89MPA\r\n\x1a\ntorn"), 0o600))
			}
			var compactors sync.WaitGroup
			for range 1 + r.IntN(2) {
				step := r.IntN(12)
				compactors.Go(func() { runCompactor(t, w.dir, step) })
				if step > 0 {
					kills++
				}
			}
			w.dead(r.Int64N(1000))
			compactors.Wait()
		}
	})
	runCompactor(t, w.dir, 0)
	w.settled()
	require.Len(t, names(t, w.dir), w.living+2)
	t.Logf("%d schedules, %d compactors to be killed, %d scrapes, %d counted, %d differences",
		schedules, kills, w.scrapes.Load(), w.counted.Load(), len(w.differences))
}

// TestWiperKilledAtEveryStep: what the dead have counted is there as a whole or
// not at all, and the living keep what they have.
func TestWiperKilledAtEveryStep(t *testing.T) {
	build := func(t *testing.T) *traffic {
		w := newTraffic(t)
		w.dead(1000)
		runCompactor(t, w.dir, 0)
		w.live(1)
		w.dead(10)
		w.dead(100)
		return w
	}
	steps := runRole(t, "wiper", build(t).dir, 0)
	require.Equal(t, []string{"opened", "locked", "staged", "committed", "synced", "removing", "removing", "removed"}, steps)
	for step := range steps {
		t.Run(fmt.Sprintf("%d-%s", step+1, steps[step]), func(t *testing.T) {
			w := build(t)
			warm := openDir(t, w.dir, Options{})
			require.EqualValues(t, 1111, gather(t, warm)["c_total"])
			runRole(t, "wiper", w.dir, step+1)
			want := 1111
			if step >= 3 { // committed
				want = 1
			}
			require.EqualValues(t, want, gather(t, warm)["c_total"])
			require.EqualValues(t, want, gather(t, openDir(t, w.dir, Options{}))["c_total"])
			w.dead(5)
			runCompactor(t, w.dir, 0)
			require.EqualValues(t, want+5, gather(t, warm)["c_total"])
			require.EqualValues(t, want+5, gather(t, openDir(t, w.dir, Options{}))["h_count"])
			runRole(t, "wiper", w.dir, 0)
			require.EqualValues(t, 1, gather(t, warm)["c_total"])
			require.Len(t, names(t, w.dir), w.living+1)
		})
	}
}
