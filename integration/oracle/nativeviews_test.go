package oracle

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	prom "github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/multiproc"
)

// TestViewsAreNoResets looks at a histogram while processes observe as fast as they can, others
// have died, and compactions run. Every view is one that a server accepts, and none is a counter
// reset to it. At the end nothing is missing.
func TestViewsAreNoResets(t *testing.T) {
	views := 150
	if testing.Short() {
		views = 30
	}
	schemas := map[int32]bool{}
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 8))
		dir := t.TempDir()
		a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
		require.NoError(t, err)
		defer a.Close()
		common := multiproc.HistogramOpts{NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160}
		if seed%2 == 0 {
			common.Buckets = []float64{0.1, 1, 10}
		}
		var stop atomic.Bool
		var observed, viewing atomic.Uint64
		var wg sync.WaitGroup
		for i := range 3 {
			w := startWorker(t, dir, i, randomOpts(rnd, common))
			own := rand.New(rand.NewPCG(seed, uint64(i)))
			wg.Go(func() {
				for n := uint64(0); !stop.Load() || n < 2000; n++ {
					// From 0.001 to 8, so that schemas fall from view to view.
					spread := 0.001 * math.Pow(8000, float64(viewing.Load())/float64(views))
					w.h.Observe(math.Exp(own.NormFloat64() * spread))
					observed.Add(1)
				}
			})
		}
		wg.Go(func() {
			for !stop.Load() {
				_, err := aggregate.Compact(context.Background(), dir, aggregate.CompactOptions{})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		var last *prom.FloatHistogram
		for i := range views {
			if i%5 == 0 {
				dead := startWorker(t, t.TempDir(), 100+i, randomOpts(rnd, common))
				for range 1 + rnd.IntN(200) {
					if x := value(rnd, dead.truth.Schema, 0.5); x == x || i > views/2 {
						dead.observe(x)
					}
				}
				observed.Add(uint64(dead.n))
				dead.die(t, dir)
			}
			viewing.Store(uint64(i))
			before := observed.Load()
			view := viewed(t, a)
			if view == nil {
				continue
			}
			now := view.ToFloat(nil)
			schemas[now.Schema] = true
			if last != nil {
				require.False(t, now.DetectReset(last), "seed %d: %s after %s", seed, now, last)
			}
			if i <= views/2 || math.IsNaN(view.Sum) { // else those of NaN are not counted
				require.LessOrEqual(t, before, view.Count+3, "3 may be between the count and its word")
			}
			last = now
		}
		stop.Store(true)
		wg.Wait()
		if view := viewed(t, a); math.IsNaN(view.Sum) {
			require.Equal(t, observed.Load(), view.Count)
		}
	}
	require.Greater(t, len(schemas), 2)
}
