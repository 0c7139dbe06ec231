package integration

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/environ"
	"github.com/multiprom/multiprom/multiproc"
)

const (
	recycledSlots     = 16
	recycledSeries    = 50 // per worker
	recycledThreshold = 8
)

// recycledRole is a short-lived worker: it writes 50 series, then waits for its death.
func recycledRole() error {
	c := multiproc.NewCounterVec(multiproc.CounterOpts{Name: "rec_updates", Help: "Updates."}, []string{"n"})
	h := multiproc.NewHistogram(multiproc.HistogramOpts{Name: "rec_seconds", Help: "Observations."})
	g := multiproc.NewGauge(multiproc.GaugeOpts{Name: "rec_all", Help: "One per slot."})
	for n := range recycledSeries - 2 {
		c.WithLabelValues(strconv.Itoa(n)).Add(float64(n + 1))
	}
	h.Observe(0.1) // a sum of floats does not keep it exact
	g.Set(1)
	fmt.Println("done")
	return block()
}

// intFromEnv returns the size of the long form of a test.
func intFromEnv(name string, short int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return short
}

// TestRecycledWorkers runs many short-lived workers, 16 at a time, while a compactor runs.
// The number of files and records stays proportional to the living workers, and no update
// is lost. MULTIPROM_RECYCLED is the number of workers.
func TestRecycledWorkers(t *testing.T) {
	const batch = 100
	workers := intFromEnv("MULTIPROM_RECYCLED", 400)
	dir := t.TempDir()
	compactor := startCompactor(t, dir, aggregate.CompactorOptions{CompactOptions: aggregate.CompactOptions{Threshold: recycledThreshold}})

	var alive [recycledSlots]*helper
	replace := func(slot int) {
		if alive[slot] != nil {
			alive[slot].kill()
			compactor.Died()
		}
		alive[slot] = start(t, "recycled", dir, "env", environ.ProcessID+"="+strconv.Itoa(slot))
		alive[slot].expect(t, "done")
	}
	for slot := range alive {
		replace(slot)
	}
	a := open(t, dir)
	started, peak := recycledSlots, 0
	var first map[string]float64
	for started < workers {
		var left atomic.Int64
		left.Store(batch)
		var slots sync.WaitGroup
		for slot := range alive {
			slots.Go(func() {
				for left.Add(-1) >= 0 {
					replace(slot)
				}
			})
		}
		slots.Wait()
		started += batch

		files := 0
		eventually(t, "the compactor has caught up", func() bool {
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			files = len(entries)
			peak = max(peak, files)
			return files <= recycledSlots+recycledThreshold+3
		})
		got := samples(t, a)
		for n := range recycledSeries - 2 {
			key := fmt.Sprintf(`rec_updates_total{n="%d"}`, n)
			require.EqualValues(t, started*(n+1), got[key], key)
		}
		require.EqualValues(t, started, got["rec_seconds_count"])
		require.InEpsilon(t, 0.1*float64(started), got["rec_seconds_sum"], 1e-15)
		for slot := range alive {
			require.EqualValues(t, 1, got[fmt.Sprintf(`rec_all{pid="%d"}`, slot)])
		}
		// The archive has each series once, and a series of the gauge per slot.
		const archive, others = recycledSeries + recycledSlots, recycledSlots + recycledThreshold + 2
		require.LessOrEqual(t, got["multiprom_read_series"], float64(archive+recycledSeries*others))
		if first == nil {
			first = got
		}
	}
	last := samples(t, a)
	require.Equal(t, len(first), len(last), "the view does not grow")
	t.Logf("%d workers, %d alive: at most %d names in the directory, %v series read by the first scrape and %v by the last, %v compactions, %v",
		started, recycledSlots, peak, first["multiprom_read_series"], last["multiprom_read_series"], last["multiprom_compactions_total"],
		time.Duration(last["multiprom_compaction_seconds_total"]*float64(time.Second)))
}
