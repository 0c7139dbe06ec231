package histogram

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

func TestKindOf(t *testing.T) {
	native := &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0.5}
	for want, schemas := range map[Kind][]metric.Schema{
		Classic: {{Type: metric.Histogram, Bounds: []float64{1}}, {Type: metric.Histogram}, {Type: metric.Counter}},
		Native:  {{Type: metric.Histogram, Native: native}},
		Both:    {{Type: metric.Histogram, Native: native, Bounds: []float64{1}}},
	} {
		for _, s := range schemas {
			require.Equal(t, want, KindOf(&s), "%+v", s)
		}
	}
	require.Equal(t, Definition{Schema: 3, Limit: 160, Threshold: 0.5}, DefinitionOf(native))
}
