package textparse

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// checkPoint checks the current point of series i, of which all samples have been read,
// and puts it into the order that package metric expects.
func (p *parser) checkPoint(i int) error {
	f := &p.family
	s, was := &f.series[i], &f.progress[i]
	reason := ""
	switch f.typ {
	case metric.Histogram, metric.GaugeHistogram, metric.Summary:
		s.NoSum = !was.seen.has(sum)
	}
	switch f.typ {
	case metric.Counter:
		if !was.seen.has(value) {
			reason = "the counter has no sample with the suffix _total"
		}
	case metric.Histogram, metric.GaugeHistogram:
		if p.second {
			break // checked with its only sample
		}
		reason = sortBuckets(s, was)
		if reason == "" && p.strict {
			reason = checkHistogram(f.typ, s, was)
		} else if reason == "" {
			reason = completeHistogram(s, was)
		}
	case metric.Summary:
		reason = sortQuantiles(s, was)
	case metric.StateSet:
		reason = checkStates(s.States)
	}
	if reason == "" {
		return nil
	}
	return &Error{Line: was.line, Column: 1, Reason: reason}
}

// sortBuckets sorts the buckets of text, which allows any order.
func sortBuckets(s *metric.Series, was *progress) string {
	if !was.unordered {
		return ""
	}
	slices.SortFunc(s.Buckets, func(a, b metric.Bucket) int { return cmp.Compare(a.UpperBound, b.UpperBound) })
	for i := 1; i < len(s.Buckets); i++ {
		if s.Buckets[i].UpperBound == s.Buckets[i-1].UpperBound {
			return "the histogram has two buckets of one bound"
		}
	}
	return ""
}

func sortQuantiles(s *metric.Series, was *progress) string {
	if !was.unordered {
		return ""
	}
	slices.SortFunc(s.Quantiles, func(a, b metric.Quantile) int { return cmp.Compare(a.Q, b.Q) })
	for i := 1; i < len(s.Quantiles); i++ {
		if s.Quantiles[i].Q == s.Quantiles[i-1].Q {
			return "the summary has a quantile twice"
		}
	}
	return ""
}

// checkStates keeps the states in order of declaration.
func checkStates(states []metric.State) string {
	sorted := slices.Clone(states)
	slices.SortFunc(sorted, func(a, b metric.State) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Name == sorted[i-1].Name {
			return "the state set has a state twice"
		}
	}
	return ""
}

// checkHistogram checks what OpenMetrics requires of the parts together.
func checkHistogram(typ metric.Type, s *metric.Series, was *progress) string {
	last := len(s.Buckets) - 1
	if last < 0 || !math.IsInf(s.Buckets[last].UpperBound, 1) {
		return "the histogram has no bucket +Inf"
	}
	hasSum, hasCount := was.seen.has(sum), was.seen.has(count)
	switch {
	case hasSum != hasCount:
		return "the histogram has a sum without a count, or a count without a sum"
	case hasCount && s.Count != s.Buckets[last].Count:
		return "the histogram's count is not that of its bucket +Inf"
	case hasSum && typ == metric.Histogram && openmetrics.HasNegativeBound(s):
		return "the histogram has a negative bound, and so must not have a sum"
	case hasSum && !openmetrics.HasNegativeBound(s) && s.Sum < 0:
		return "the sum is negative, but no bound is"
	}
	s.Count = s.Buckets[last].Count
	return ""
}

// completeHistogram adds what a text histogram lacks.
func completeHistogram(s *metric.Series, was *progress) string {
	last := len(s.Buckets) - 1
	if last < 0 || !math.IsInf(s.Buckets[last].UpperBound, 1) {
		if last >= 0 && !was.seen.has(count) {
			s.Count = s.Buckets[last].Count
		}
		s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: math.Inf(1), Count: s.Count})
		last++
	} else if was.seen.has(count) && s.Count != s.Buckets[last].Count {
		return "the histogram's count is not that of its bucket +Inf"
	}
	s.Count = s.Buckets[last].Count
	for i := 1; i <= last; i++ {
		if s.Buckets[i].Count < s.Buckets[i-1].Count {
			return "the histogram's buckets are not cumulative"
		}
	}
	return ""
}
