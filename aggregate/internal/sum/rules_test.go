package sum

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// TestKindsOfHistograms: classic, native and both are three types, and all else that a
// histogram declares may differ.
func TestKindsOfHistograms(t *testing.T) {
	native, other := &metric.NativeSchema{Schema: 3, MaxBuckets: 160}, &metric.NativeSchema{Schema: 8, MaxBuckets: 20, ZeroThreshold: 1}
	kinds := [][]*metric.Schema{
		{{Type: metric.Histogram}, {Type: metric.Histogram, Bounds: []float64{1}}},
		{{Type: metric.Histogram, Native: native}, {Type: metric.Histogram, Native: other}},
		{{Type: metric.Histogram, Bounds: []float64{1}, Native: native}, {Type: metric.Histogram, Bounds: []float64{2, 3}, Native: other}},
	}
	for i, as := range kinds {
		for j, bs := range kinds {
			for _, a := range as {
				for _, b := range bs {
					require.Equal(t, i == j, Compatible(a, b), "%+v %+v", a, b)
					require.Equal(t, i == j, SeriesKey(a, nil) == SeriesKey(b, nil), "%+v %+v", a, b)
				}
			}
		}
	}
}
