package views

import (
	"slices"
	"sync/atomic"

	"github.com/multiprom/multiprom/metric"
)

// Family is a family as a Viewer shows it. The fields that it adds to a metric.Family may
// all be zero.
type Family struct {
	*metric.Family // Series is empty if Rows is not nil

	// Rows, if not nil, replaces Series. It decodes series on demand.
	Rows Rows

	// Layout, if not 0, stays the same from one scrape to the next while nothing changes
	// but numbers, times and exemplars: encoders keep text by it. Families of one Layout
	// have the same name, help, unit and type, and series of the same labels and bounds
	// in the same order. It comes from NewLayout.
	Layout uint64

	// Revision, from 1 on, grows from one scrape of a Layout to the next. Revisions has
	// for each series the Revision in which it last changed: a series whose number is not
	// above the Revision of an earlier scrape is as it was then. 0 and nil say nothing.
	Revision  uint32
	Revisions []uint32
}

// Rows are the series of a family, in the order of their labels. They are decoded on
// demand.
type Rows interface {
	Len() int
	// AppendLabels appends the labels of series number i.
	AppendLabels(dst metric.Labels, i int) metric.Labels
	// Read writes the rest of series number i to s, whose slices it may use again.
	Read(i int, s *metric.Series)
}

// NewLayout returns a Layout that no family of this process has.
func NewLayout() uint64 { return layouts.Add(1) }

var layouts atomic.Uint64

// Len returns the number of series.
func (f *Family) Len() int {
	if f.Rows != nil {
		return f.Rows.Len()
	}
	return len(f.Series)
}

// Whole returns the family with Series in place of Rows.
func (f *Family) Whole() *metric.Family {
	if f.Rows == nil {
		return f.Family
	}
	out := *f.Family
	out.Series = make([]metric.Series, f.Rows.Len())
	var labels metric.Labels // of all series
	var buckets []metric.Bucket
	for i := range out.Series {
		s, from := &out.Series[i], len(labels)
		s.Buckets = buckets
		f.Rows.Read(i, s)
		labels = f.Rows.AppendLabels(labels, i)
		n, rest := len(s.Buckets), len(out.Series)-i-1
		if i == 0 { // the others have as many, mostly
			labels, buckets = slices.Grow(labels, len(labels)*rest), make([]metric.Bucket, 0, n*rest)
		} else {
			n = min(n, cap(buckets))
			buckets = buckets[n:n]
		}
		s.Labels, s.Buckets = labels[from:len(labels):len(labels)], slices.Clip(s.Buckets)
	}
	return &out
}

// Whole returns the families with Series in place of Rows.
func Whole(families []Family) []*metric.Family {
	if families == nil {
		return nil
	}
	out := make([]*metric.Family, len(families))
	for i := range families {
		out[i] = families[i].Whole()
	}
	return out
}

// Plain returns families that have no Rows, and of which nothing is known from an earlier
// scrape.
func Plain(families []*metric.Family) []Family {
	if families == nil {
		return nil
	}
	out := make([]Family, len(families))
	for i, f := range families {
		out[i].Family = f
	}
	return out
}
