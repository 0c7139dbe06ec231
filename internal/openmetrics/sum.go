package openmetrics

import "github.com/multiprom/multiprom/metric"

// HasNegativeBound reports whether the first bucket's bound is below zero. The sum of such a
// histogram may fall, so OpenMetrics forbids it.
func HasNegativeBound(s *metric.Series) bool {
	return len(s.Buckets) > 0 && s.Buckets[0].UpperBound < 0
}
