package table

import (
	"cmp"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/metric"
)

// exemplarSet has the newest exemplar of each bucket of a histogram, or that of a counter.
type exemplarSet []*metric.Exemplar

// offer gives a row an exemplar of one of its processes. It replaces one that is older for a
// reader whose clock says now.
func (s row) offer(x *metric.Exemplar, now int64) {
	f := s.family
	f.exemplarsAt = long(f.exemplarsAt, len(f.symbol))
	at := &f.exemplarsAt[s.number]
	if *at == 0 {
		buckets := 1
		if f.schema.Type == metric.Histogram {
			buckets += len(f.bounds)
		}
		f.exemplars = append(f.exemplars, make(exemplarSet, buckets))
		*at = int32(len(f.exemplars))
		if f.native != nil {
			f.native.exemplars = append(f.native.exemplars, nil)
		}
	}
	f.traced = true
	if f.native != nil {
		f.native.exemplars[*at-1] = append(f.native.exemplars[*at-1], x)
	}
	old := &f.exemplars[*at-1][sum.ExemplarBucket(f.schema, f.bounds, x.Value)]
	if *old == nil || cmp.Or(sum.CompareTimes(x.Timestamp.UnixNano(), (*old).Timestamp.UnixNano(), now), x.Compare(*old)) > 0 {
		*old = x
	}
}

// fillNativeExemplars writes those of the native buckets of a row that has had an exemplar.
func (f *family) fillNativeExemplars(n int32, out *metric.Series) {
	if out.Native != nil {
		all := f.native.exemplars[f.exemplarsAt[n]-1]
		out.Native.Exemplars = append(out.Native.Exemplars, sum.SpreadExemplars(all, f.schema.Native.MaxExemplars)...)
	}
}

// exemplarsOf returns the set of a row, nil if its number has never had an exemplar.
func (f *family) exemplarsOf(n int32) exemplarSet {
	if int(n) >= len(f.exemplarsAt) || f.exemplarsAt[n] == 0 {
		return nil
	}
	return f.exemplars[f.exemplarsAt[n]-1]
}
