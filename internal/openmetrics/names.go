package openmetrics

import (
	"strings"

	"github.com/multiprom/multiprom/metric"
)

// SampleNames returns every name under which samples of a family of that name and type
// can appear, and the family's own name. Two families must not share one (OpenMetrics
// 1.0, "MetricFamily"). The family's own name is left out for a counter whose name ends
// in _total, because no sample has it: requests_total_total and requests_total may
// coexist.
func SampleNames(name string, t metric.Type) []string {
	suffixes := map[metric.Type][]string{
		metric.Counter:        {"", "_total", "_created"},
		metric.Histogram:      {"", "_bucket", "_sum", "_count", "_created"},
		metric.GaugeHistogram: {"", "_bucket", "_gsum", "_gcount"},
		metric.Summary:        {"", "_sum", "_count", "_created"},
		metric.Info:           {"", "_info"},
	}[t]
	if suffixes == nil {
		return []string{name}
	}
	if t == metric.Counter && strings.HasSuffix(name, "_total") {
		suffixes = suffixes[1:]
	}
	names := make([]string, len(suffixes))
	for i, suffix := range suffixes {
		names[i] = name + suffix
	}
	return names
}
