package histogram

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
)

// OnlyInf reports whether s has no classic bucket but +Inf, which every series has. If it has
// native buckets, only these were asked for.
func OnlyInf(s *metric.Series) bool {
	return len(s.Buckets) == 0 || len(s.Buckets) == 1 && math.IsInf(s.Buckets[0].UpperBound, 1)
}

// Exemplars returns the exemplars of all buckets, each once. h may be nil. Those of the classic ones come
// first, in the order of the buckets: a server that stores only these takes the first one that is
// in a bucket. One that is not in its bucket is left out.
func Exemplars(buckets []metric.Bucket, h *metric.NativeHistogram) (all []*metric.Exemplar) {
	for i := range buckets {
		b := &buckets[i]
		if x := b.Exemplar; x != nil && x.Value <= b.UpperBound {
			all = append(all, x)
		}
	}
	if h == nil {
		return all
	}
	classic := len(all)
	for _, x := range h.Exemplars {
		if !slices.ContainsFunc(all[:classic], func(y *metric.Exemplar) bool { return x.Compare(y) == 0 }) {
			all = append(all, x)
		}
	}
	return all
}
