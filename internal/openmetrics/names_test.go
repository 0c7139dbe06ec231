package openmetrics

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

func TestSampleNames(t *testing.T) {
	require.Equal(t, []string{"x", "x_total", "x_created"}, SampleNames("x", metric.Counter))
	require.Equal(t, []string{"x_total_total", "x_total_created"}, SampleNames("x_total", metric.Counter))
	require.Equal(t, []string{"x"}, SampleNames("x", metric.Gauge))
	require.Contains(t, SampleNames("x", metric.Histogram), "x_bucket")
}
