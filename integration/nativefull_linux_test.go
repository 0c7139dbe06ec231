package integration

import (
	"context"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/multiproc"
)

// TestNativeOnFullFilesystem: if there is no space for another region, observations that need one
// are dropped as a whole and counted. All others count, and so do these again as soon as there
// is space.
func TestNativeOnFullFilesystem(t *testing.T) {
	needRoot(t)
	needCommand(t, "mount")
	dir := t.TempDir()
	mountTmpfs(t, dir)
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	t.Cleanup(func() { set.Close() })
	vec := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{
		Name: "native", Help: "N.", Buckets: []float64{10}, NativeHistogramBucketFactor: 1.1,
	}, []string{"n"}))
	const series = 1000
	label := func(i int) string {
		return string(rune('a'+i/26%26)) + string(rune('a'+i%26)) + string(rune('a'+i/676))
	}
	for i := range series {
		vec.WithLabelValues(label(i)).Observe(1) // each has one region
	}
	big := fill(t, dir)
	dropped := 0
	for round := range 20 {
		for i := range series {
			h := vec.WithLabelValues(label(i))
			before, _ := h.Values()
			h.Observe(math.Exp2(float64(round)))
			after, _ := h.Values()
			switch now, was := after[1].Count, before[1].Count; now {
			case was:
				dropped++
			default:
				require.Equal(t, was+1, now)
			}
		}
	}
	require.Greater(t, dropped, series)
	a := open(t, dir)
	check := func() (fallback float64) {
		families, err := a.Gather(context.Background())
		require.NoError(t, err)
		for _, f := range families {
			switch f.Name {
			case "native":
				require.Len(t, f.Series, series)
				for _, s := range f.Series {
					l, _ := s.Labels.Get("n")
					want, sum := vec.WithLabelValues(l).Values()
					require.Equal(t, want[1].Count, s.Count)
					require.Equal(t, sum, s.Sum)
					require.Equal(t, want[0].Count, s.Buckets[0].Count)
				}
			case "multiprom_fallback_series":
				fallback = f.Series[0].Value
			}
		}
		return fallback
	}
	require.EqualValues(t, dropped, check(), "the loss is visible")

	require.NoError(t, os.Remove(big))
	h := vec.WithLabelValues(label(0))
	eventually(t, "regions are made again", func() bool {
		before, _ := h.Values()
		h.Observe(0x1p500)
		after, _ := h.Values()
		return after[1].Count > before[1].Count
	})
	check()
}
