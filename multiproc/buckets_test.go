package multiproc

import (
	"math"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzBucketTable compares the table with a binary search.
func FuzzBucketTable(f *testing.F) {
	f.Add(0.3, 0.1, 2.0, uint8(5), false)
	f.Add(-1.0, 0.1, 2.0, uint8(5), true)
	f.Add(math.Inf(1), 1e-300, 1e10, uint8(60), false)
	f.Add(1e-310, 5e-324, 1.5, uint8(20), false)
	f.Fuzz(func(t *testing.T, v, start, factor float64, n uint8, negative bool) {
		if !(start > 0) || !(factor > 1) || n == 0 {
			return
		}
		var bounds []float64
		if negative {
			bounds = append(bounds, -start, 0)
		}
		for _, b := range ExponentialBuckets(start, factor, int(n)) {
			if math.IsInf(b, 0) || len(bounds) > 0 && b <= bounds[len(bounds)-1] {
				break
			}
			bounds = append(bounds, b)
		}
		if len(bounds) == 0 {
			return
		}
		table := newBucketTable(bounds)
		for _, x := range append([]float64{v, -v, 0, math.Inf(-1), math.Inf(1), math.NaN()}, bounds...) {
			for _, y := range []float64{x, math.Nextafter(x, math.Inf(1)), math.Nextafter(x, math.Inf(-1))} {
				want := sort.Search(len(bounds), func(i int) bool { return bounds[i] >= y })
				require.Equal(t, want, table.find(y), "%v in %v", y, bounds)
			}
		}
	})
}

func TestTimerIsNeverNegative(t *testing.T) {
	now := time.Unix(100, 0)
	var seen []float64
	timer := newTimer(ObserverFunc(func(v float64) { seen = append(seen, v) }), func() time.Time { return now })
	now = now.Add(-time.Hour) // the clock was set back
	require.Zero(t, timer.ObserveDuration())
	now = now.Add(2 * time.Hour)
	require.Equal(t, time.Hour, timer.ObserveDuration())
	require.Equal(t, []float64{0, 3600}, seen)
}

// TestTableFindsWhatIsThere drives the index through growth and removal.
func TestTableFindsWhatIsThere(t *testing.T) {
	s := NewSet(SetOptions{MaxSeries: 1 << 20})
	v := must(s.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"n"}))
	children := map[string]*Counter{}
	name := func(i int) string { return time.Duration(i).String() }
	for i := range 5000 {
		children[name(i)] = v.WithLabelValues(name(i))
		if i%3 == 0 {
			require.True(t, v.DeleteLabelValues(name(i/2)) == (children[name(i/2)] != nil))
			delete(children, name(i/2))
		}
	}
	for n, c := range children {
		require.Same(t, c, v.WithLabelValues(n))
	}
	require.EqualValues(t, len(children), v.v.size.Load())
}
