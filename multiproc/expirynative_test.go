package multiproc

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// regionCounts returns the sum of the counts in the regions of each live series, by label
// value, and the number of its regions.
func (e *expiring) regionCounts() (counts map[string]uint64, regions map[string]int) {
	store := e.store.Load()
	r := store.Reader(nil)
	require.NoError(e.t, r.Refresh())
	list := r.Series()
	counts, regions = map[string]uint64{}, map[string]int{}
	for _, region := range r.Regions() {
		if region.Removed {
			continue
		}
		label := list[region.Series].Values()[0]
		regions[label]++
		for _, n := range region.Counts {
			counts[label] += n
		}
	}
	return counts, regions
}

func newNativeVec(e *expiring) *HistogramVec {
	return must(e.NewHistogramVec(HistogramOpts{Name: "n", Help: "N.", NativeHistogramBucketFactor: 1.1, Buckets: []float64{1}}, []string{"l"}))
}

// TestNativeSeriesExpire: an observation in a region keeps a series, and a new life of a held
// one has exactly what was observed since, at the declared schema.
func TestNativeSeriesExpire(t *testing.T) {
	onBoth(t, func(t *testing.T, e *expiring) {
		vec := newNativeVec(e)
		busy, held := vec.WithLabelValues("busy"), vec.WithLabelValues("held")
		busy.Observe(0.5)
		for _, v := range []float64{0.5, 3, 3, 70, 0} {
			held.Observe(v)
		}
		e.run(0)
		for i := range 9 {
			busy.Observe([]float64{0.5, 0x1p40, 0}[i%3]) // a bucket, one in a new region at first, zero
			e.run(20)
		}
		rows := e.rows()
		require.Contains(t, rows, "n/busy")
		require.NotContains(t, rows, "n/held")
		counts, _ := e.regionCounts()
		require.Equal(t, map[string]uint64{"busy": 7}, counts)
		require.EqualValues(t, 1, e.counted(mpm.ExpiredSeries))

		held.Observe(3)
		held.Observe(1e9) // a region that it did not have, made while it is removed
		e.run(20)
		rows = e.rows()
		require.Equal(t, []uint64{rows["n/held"].words[0], 0, 0, 0}, rows["n/held"].words, "nothing of the old life")
		counts, regions := e.regionCounts()
		require.EqualValues(t, 2, counts["held"])
		require.Equal(t, 4, regions["held"])
		buckets, sum := held.Values()
		require.Equal(t, 1e9+3, sum)
		require.EqualValues(t, 2, buckets[1].Count)
		require.EqualValues(t, 1, e.counted(mpm.RevivedSeries))

		// A life that ends while the series is updated, in place.
		held.Observe(3)
		e.now = e.now.Add(1e12)
		e.run(0)
		counts, _ = e.regionCounts()
		require.EqualValues(t, 1, counts["held"])
		runtime.KeepAlive(busy)
	})
}

// TestExpiredNativeHandle: what was observed by a handle that is gone since goes to the next
// series of the labels, at a schema that has it.
func TestExpiredNativeHandle(t *testing.T) {
	e := newExpiring(t, SetOptions{KeepRemoved: metric.KeepNone})
	vec := newNativeVec(e)
	func() {
		h := vec.WithLabelValues("x")
		h.Observe(5)
		e.run(0)
		e.idle()
		h.Observe(5)
		h.Observe(-2e9)
		h.Observe(0.5)
		runtime.KeepAlive(h)
	}()
	e.collected(func() bool {
		vec.v.mu.Lock()
		defer vec.v.mu.Unlock()
		return len(vec.v.expired.all) == 0
	})
	counts, regions := e.regionCounts()
	require.Equal(t, map[string]uint64{"x": 3}, counts)
	require.Equal(t, map[string]int{"x": 3}, regions)
	row := e.rows()["n/x"]
	require.EqualValues(t, 2, row.words[mpm.CellNativeBuckets])
	require.Zero(t, row.words[histogram.CellZero])
	buckets, sum := vec.WithLabelValues("x").Values()
	require.Equal(t, 5.5-2e9, sum)
	require.EqualValues(t, 3, buckets[1].Count)
}
