package multiproc

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
)

// TestExpiryBesideUpdates: goroutines look series up, keep some handles and drop others, while
// the janitor and the garbage collector run. Over all lives of a label, every update is counted
// exactly once.
func TestExpiryBesideUpdates(t *testing.T) {
	var clock atomic.Int64
	clock.Store(1e18)
	s := NewSet(SetOptions{KeepRemoved: time.Millisecond, TTL: 80 * time.Second, Now: func() time.Time { return time.Unix(0, clock.Load()) }})
	defer s.Close()
	require.NoError(t, s.Open())
	vec := must(s.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	const labels, workers, runs = 20, 4, 600
	var looks, updates [labels + 1]atomic.Int64 // the last one of looks counts them
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			held := map[int]*Counter{}
			for {
				n := r.IntN(labels)
				c := held[n]
				if c == nil {
					c = vec.WithLabelValues(strconv.Itoa(n))
				}
				c.Inc()
				updates[n].Add(1)
				if held[n] = nil; r.IntN(2) == 0 {
					held[n] = c
				}
				c = nil
				for until := looks[labels].Load() + r.Int64N(12); looks[labels].Load() < until; runtime.Gosched() {
					select {
					case <-stop:
						return
					default:
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	lives := map[string]map[int64]uint64{}
	r := s.store.Load().Reader(nil)
	note := func() {
		require.NoError(t, r.Refresh())
		for _, info := range r.Series() {
			if clock.Load()-info.Active().UnixNano() >= int64(80*time.Second) {
				continue // it is hidden: what is counted now may belong to the next life
			}
			label := info.Values()[0]
			if lives[label] == nil {
				lives[label] = map[int64]uint64{}
			}
			at, value := info.CreatedNanos(), atomic.LoadUint64(&info.Words()[0])
			lives[label][at] = max(lives[label][at], value)
		}
	}
	for i := range runs {
		clock.Add(int64(20 * time.Second))
		s.look(time.Time{})
		note()
		looks[labels].Add(1)
		if i%50 == 0 {
			runtime.GC()
		}
		runtime.Gosched()
	}
	close(stop)
	all.Wait()
	// What nobody holds any more, and has counted since the last comparison, goes to a new series.
	require.Eventually(t, func() bool {
		runtime.GC()
		clock.Add(int64(5 * time.Second))
		s.look(time.Time{})
		note()
		for n := range labels {
			sum := uint64(0)
			for _, v := range lives[strconv.Itoa(n)] {
				sum += v
			}
			if sum != uint64(updates[n].Load()) {
				return false
			}
		}
		return true
	}, 60*time.Second, time.Millisecond)
	expired, revived := r.Count(mpm.ExpiredSeries), r.Count(mpm.RevivedSeries)
	t.Logf("%d series have expired, %d have come back", expired, revived)
	require.Greater(t, expired, uint64(50))
	require.Greater(t, revived, uint64(20))
}

// TestTTLCostsNothingWithout: instruments are as large as they were before there were TTLs, and
// nothing but a gauge's flag is different on the path of an update.
func TestTTLCostsNothingWithout(t *testing.T) {
	require.EqualValues(t, 112, unsafe.Sizeof(Counter{}))
	require.LessOrEqual(t, unsafe.Sizeof(Gauge{}), uintptr(128))
	require.LessOrEqual(t, unsafe.Sizeof(Enum{}), uintptr(128))
	s := NewSet(SetOptions{})
	defer s.Close()
	with := must(s.NewGaugeVec(GaugeOpts{Name: "with", Help: "W.", TTL: time.Hour}, []string{"l"})).WithLabelValues("x")
	without := must(s.NewGaugeVec(GaugeOpts{Name: "without", Help: "W."}, []string{"l"})).WithLabelValues("x")
	for range 2 {
		with.Set(1)
		without.Set(1)
	}
	require.True(t, with.recent.on)
	require.False(t, without.recent.on)
	require.Len(t, without.s.load(), 1)
	require.EqualValues(t, 2, with.s.load()[mpm.CellUpdates])
	require.Zero(t, testing.AllocsPerRun(100, func() { with.Set(1) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { without.Set(1) }))
}

// TestRunBeforeCleanup: a run of the janitor finds the updates of a handle that was dropped since,
// also if the collector's cleanup comes later. A process may be killed before that.
func TestRunBeforeCleanup(t *testing.T) {
	onBoth(t, func(t *testing.T, e *expiring) {
		vec := must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		func() {
			c := vec.WithLabelValues("x")
			c.Add(5)
			e.run(0)
			e.idle()
			require.Empty(t, e.rows())
			c.Add(2)
			runtime.KeepAlive(c)
		}()
		left := vec.v.expired.all[0]
		left.gone.Stop() // it comes late
		e.collected(func() bool { return left.series.Value() == nil })
		e.run(20)
		require.EqualValues(t, 2, e.rows()["c/x"].words[0])
		vec.v.cleanUp(left)
		require.EqualValues(t, 2, vec.WithLabelValues("x").Value())
	})
}
