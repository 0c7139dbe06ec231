package main

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// TestInspectNativeBuckets: the native buckets of a series are shown as they would be merged.
func TestInspectNativeBuckets(t *testing.T) {
	s, err := mpm.Create(t.TempDir(), mpm.Options{})
	require.NoError(t, err)
	f, err := s.AddSchema(&metric.Schema{
		Name: "seconds", Help: "H.", Type: metric.Histogram, Bounds: []float64{1}, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0.5, MaxExemplars: 2},
	})
	require.NoError(t, err)
	one, err := s.AddSeries(f, nil, nil)
	require.NoError(t, err)
	words := one.Words()
	words[histogram.CellSum], words[histogram.CellZero], words[histogram.CellNaN] = math.Float64bits(9), 2, 1
	words[mpm.CellNativeBuckets] = 3
	one.AddRegion(histogram.Region{Schema: 3})[0] = 1                   // 1
	one.AddRegion(histogram.Region{Schema: 2, Number: 1})[0] = 4        // 4
	one.AddRegion(histogram.Region{Schema: 2, Negative: true})[4] = 5   // -2
	one.AddRegion(histogram.Region{Schema: -4, Number: 1, Counts: nil}) // without observations
	one.SetExemplar(2, metric.MakeLabels("id", "x"), 4, 1)

	in, err := inspectNative(s.Path())
	require.NoError(t, err)
	got := in.Families[0].Series[0]
	require.Equal(t, "12", got.Count)
	require.Equal(t, []inspectedBucket{{"1", "3"}}, got.Buckets)
	require.Equal(t, &inspectedNativeBuckets{
		Schema: 2, Regions: 4, Zero: "2", NaN: "1", Buckets: []inspectedNativeBucket{{0, false, "1", "1"}, {8, false, "4", "4"}, {4, true, "2", "5"}},
	}, got.Native)
	require.Equal(t, &declaredNative{3, 160, 0.5, 2}, in.Families[0].Native)
	require.Empty(t, got.Exemplars[0].Le)

	show := func(args ...string) string {
		cmd := newInspect()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs(append(args, s.Path()))
		require.NoError(t, cmd.Execute())
		return out.String()
	}
	text := show()
	require.Contains(t, text, "seconds histogram, native from schema 3: H.")
	require.Contains(t, text, "count 12 sum 9 le=1:3 schema 2 zero:2 NaN:1 1:1 4:4 -2:5")
	require.True(t, json.Valid([]byte(show("--json"))))
}
