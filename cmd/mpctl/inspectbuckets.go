package main

import (
	"fmt"
	"strconv"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// declaredNative is what a schema says of native buckets.
type declaredNative struct {
	Schema        int     `json:"schema"`
	MaxBuckets    int     `json:"max_buckets"`
	ZeroThreshold float64 `json:"zero_threshold"`
	MaxExemplars  int     `json:"max_exemplars"`
}

// inspectedNativeBuckets are the native buckets of a series, in the schema in which they would
// be shown.
type inspectedNativeBuckets struct {
	Schema  int                     `json:"schema"`
	Regions int                     `json:"regions"`
	Zero    string                  `json:"zero"` // observations within the zero threshold
	NaN     string                  `json:"nan"`
	Buckets []inspectedNativeBucket `json:"buckets"` // those with observations, the negative ones last
}

type inspectedNativeBucket struct {
	Index    int32  `json:"index"`
	Negative bool   `json:"negative,omitempty"`
	Upper    string `json:"upper"` // bound of the magnitude
	Count    string `json:"count"`
}

// fillNative decodes a series with native buckets.
func (s *inspectedSeries) fillNative(f *metric.Schema, w []uint64, regions []mpm.Region) {
	var shown metric.Series
	t := mpm.ReadNative(&shown, f, w, regions)
	s.Count, s.Sum = strconv.FormatUint(shown.Count, 10), form.FormatFloat(shown.Sum)
	for i, n := range w[mpm.CellNativeBuckets:] {
		s.Buckets = append(s.Buckets, inspectedBucket{bucketLabel(f, i), strconv.FormatUint(n, 10)})
	}
	s.Native = describeNative(t, len(regions))
}

func describeNative(t *histogram.Total, regions int) *inspectedNativeBuckets {
	out := &inspectedNativeBuckets{
		Schema: t.Schema(), Regions: regions, Zero: strconv.FormatUint(t.Zero, 10), NaN: strconv.FormatUint(t.NaN, 10), Buckets: []inspectedNativeBucket{},
	}
	bounds := histogram.Of(t.Schema())
	for _, negative := range []bool{false, true} {
		for _, b := range t.Buckets(negative) {
			out.Buckets = append(out.Buckets, inspectedNativeBucket{b.Index, negative, form.FormatFloat(bounds.Upper(b.Index)), strconv.FormatUint(b.Count, 10)})
		}
	}
	return out
}

// describe returns the buckets by their upper bounds.
func (n *inspectedNativeBuckets) describe() []string {
	parts := []string{fmt.Sprintf("schema %d", n.Schema)}
	if n.Zero != "0" {
		parts = append(parts, "zero:"+n.Zero)
	}
	if n.NaN != "0" {
		parts = append(parts, "NaN:"+n.NaN)
	}
	for _, b := range n.Buckets {
		sign := ""
		if b.Negative {
			sign = "-"
		}
		parts = append(parts, sign+b.Upper+":"+b.Count)
	}
	return parts
}
