package oracle

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
)

// inSecond changes s to what OpenMetrics 2.0 has of it. It reports false if that is nothing.
func inSecond(t metric.Type, s *metric.Series, strict bool) bool {
	if x := s.Exemplar; x != nil && x.Timestamp.IsZero() {
		s.Exemplar = nil
	}
	switch t {
	case metric.Counter:
		return s.Value >= 0 || !strict && s.Value == s.Value
	case metric.Summary:
		if s.NoSum || !(s.Sum >= 0) {
			if strict {
				return false
			}
		}
	case metric.Histogram, metric.GaugeHistogram:
		all := lineExemplars(s)
		s.Buckets = slices.Clone(s.Buckets)
		for i := range s.Buckets {
			s.Buckets[i].Exemplar = nil
		}
		for i := range s.Buckets { // a server takes the first exemplar that is in the bucket
			in := slices.IndexFunc(all, func(x *metric.Exemplar) bool {
				return x.Value <= s.Buckets[i].UpperBound && (i == 0 || x.Value > s.Buckets[i-1].UpperBound)
			})
			if in >= 0 {
				s.Buckets[i].Exemplar = all[in]
			}
		}
		if s.Native != nil {
			h := *s.Native
			h.Exemplars = all
			s.Native = &h
		}
	default:
		return true
	}
	if s.NoSum {
		s.NoSum, s.Sum = false, math.NaN()
	}
	return true
}

// lineExemplars returns the exemplars in the order of a line: of the classic buckets, then of the
// native ones.
func lineExemplars(s *metric.Series) (all []*metric.Exemplar) {
	add := func(x *metric.Exemplar) {
		if x != nil && !x.Timestamp.IsZero() && !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	for _, b := range s.Buckets {
		add(b.Exemplar)
	}
	if s.Native != nil {
		for _, x := range s.Native.Exemplars {
			add(x)
		}
	}
	return all
}
