package mmapstore_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// TestReadNativeBuckets: Read returns native buckets as a merged view has them.
func TestReadNativeBuckets(t *testing.T) {
	s, err := mpm.Create(t.TempDir(), mpm.Options{})
	require.NoError(t, err)
	f, err := s.AddSchema(&metric.Schema{
		Name: "seconds", Help: "H.", Type: metric.Histogram, Bounds: []float64{1}, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0.5, MaxExemplars: 2},
	})
	require.NoError(t, err)
	one, err := s.AddSeries(f, nil, nil)
	require.NoError(t, err)
	words := one.Words()
	words[histogram.CellSum], words[histogram.CellZero] = math.Float64bits(9), 2
	words[mpm.CellNativeBuckets] = 20 // of observations whose native counts are not there yet
	one.AddRegion(histogram.Region{Schema: 3})[0] = 1
	one.AddRegion(histogram.Region{Schema: 2, Number: 1})[0] = 4
	one.SetExemplar(1, metric.MakeLabels("id", "classic"), 4, 1)
	one.SetExemplar(2, metric.MakeLabels("id", "native"), 4, 1)

	file, err := mmapstore.Read(s.Path(), mmapstore.ReadOptions{})
	require.NoError(t, err)
	x := func(id string) *metric.Exemplar {
		return &metric.Exemplar{Labels: metric.MakeLabels("id", id), Value: 4, Timestamp: time.Unix(0, 1)}
	}
	got := file.Families[0].Series[0]
	require.EqualValues(t, 7, got.Count)
	require.Equal(t, 9.0, got.Sum)
	require.Equal(t, []metric.Bucket{{UpperBound: 1, Count: 7}, {UpperBound: math.Inf(1), Count: 7, Exemplar: x("classic")}}, got.Buckets)
	require.Equal(t, &metric.NativeHistogram{
		Schema: 2, ZeroThreshold: 0.5, ZeroCount: 2, Positive: []metric.Span{{Offset: 0, Counts: []uint64{1}}, {Offset: 7, Counts: []uint64{4}}},
		Exemplars: []*metric.Exemplar{x("native")},
	}, got.Native)
}
