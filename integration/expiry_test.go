package integration

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/multiproc"
)

// envExpire is how many series TestManySeriesExpire has expire at once.
const envExpire = "MULTIPROM_EXPIRE"

// TestManySeriesExpire: all series of a process expire at once, while it is scraped. Afterwards
// neither the process nor a reader has anything of them, and new ones take their space.
func TestManySeriesExpire(t *testing.T) {
	n := intFromEnv(envExpire, 20_000)
	var clock atomic.Int64
	clock.Store(time.Now().UnixNano())
	now := func() time.Time { return time.Unix(0, clock.Load()) }
	dir := t.TempDir()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir, MaxSeries: n, KeepRemoved: time.Second, TTL: 15 * time.Minute, Now: now})
	require.NoError(t, set.Open())
	t.Cleanup(func() { require.NoError(t, set.Close()) })
	vec := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "tenant_total", Help: "H."}, []string{"tenant"}))
	stays := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "stays_total", Help: "H."}, []string{"l"})).WithLabelValues("x")

	view, err := aggregate.Open(dir, aggregate.Options{Now: now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, view.Close()) })
	scrape := func() (counts map[string]int, took time.Duration) {
		began := time.Now()
		families, err := view.Gather(context.Background())
		took = time.Since(began)
		require.NoError(t, err)
		counts = map[string]int{}
		for _, f := range families {
			counts[f.Name] = len(f.Series)
		}
		return counts, took
	}
	memory := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc >> 20
	}
	fileBytes := func() int64 {
		info, err := os.Stat(access.Store(set).Path())
		require.NoError(t, err)
		return info.Size()
	}
	create := func(prefix string) {
		for i := range n {
			vec.WithLabelValues(prefix + strconv.Itoa(i)).Inc()
		}
	}
	before := memory()
	began := time.Now()
	create("a")
	t.Logf("%d series made in %v", n, time.Since(began))
	stays.Inc()
	look := func() {
		began := time.Now()
		access.Look(set)
		t.Logf("a run of the janitor: %v", time.Since(began))
	}
	look()
	counts, first := scrape()
	_, again := scrape()
	require.Equal(t, n, counts["tenant"])
	peak, size := memory(), fileBytes()
	t.Logf("first scrape %v, next %v; heap %d MiB before, %d MiB now; file %d bytes", first, again, before, peak, size)

	// All expire, in one run of the janitor.
	for range 8 {
		clock.Add(int64(15 * time.Minute / 4))
		stays.Inc()
	}
	done := inBackground(look)
	var during []time.Duration
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		_, took := scrape()
		during = append(during, took)
	}
	slices.Sort(during)
	t.Logf("%d scrapes meanwhile: median %v, longest %v", len(during), during[len(during)/2], during[len(during)-1])
	require.Eventually(t, func() bool {
		counts, _ := scrape()
		return counts["tenant"] == 0 && counts["stays"] == 1
	}, 30*time.Second, time.Millisecond)

	// Nothing holds them, so they are cleaned up, and their space is free.
	store := access.Store(set)
	require.Eventually(t, func() bool {
		runtime.GC()
		store.Reclaim()
		r := store.Reader(nil)
		require.NoError(t, r.Refresh())
		return len(r.Removed()) == 0
	}, 60*time.Second, 100*time.Millisecond)
	_, after := scrape()
	_, after2 := scrape()
	t.Logf("scrape afterwards %v, next %v; heap %d MiB", after, after2, memory())
	require.LessOrEqual(t, memory(), before+(peak-before)/4+16, "MiB of the heap")
	create("b")
	require.LessOrEqual(t, fileBytes(), size+size/16)
	t.Logf("file with as many others: %d bytes", fileBytes())
}

// inBackground runs f, and closes the channel when it is done.
func inBackground(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	return done
}
