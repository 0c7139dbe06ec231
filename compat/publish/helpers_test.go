package publish_test

import (
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/registry"
)

// view is what the server of /metrics has: the merged directory with the process
// metrics of the workers.
func view(t *testing.T, dir string) func() map[string][]*dto.Metric {
	t.Helper()
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	g := convert.ToPrometheus(registry.Directory(a))
	return func() map[string][]*dto.Metric {
		families, err := g.Gather()
		require.NoError(t, err)
		out := map[string][]*dto.Metric{}
		for _, f := range families {
			out[f.GetName()] = f.Metric
		}
		return out
	}
}

// one returns the value of a family's only series.
func one(t *testing.T, ms []*dto.Metric) float64 {
	t.Helper()
	require.Len(t, ms, 1)
	m := ms[0]
	return m.Counter.GetValue() + m.Gauge.GetValue() + m.Untyped.GetValue() + float64(m.Histogram.GetSampleCount())
}
