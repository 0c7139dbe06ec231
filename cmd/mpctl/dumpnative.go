package main

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// dumpedNative is the native buckets of a histogram in the output of `mpctl dump --json`. The
// empty ones are left out.
type dumpedNative struct {
	Schema        int                  `json:"schema"`
	ZeroThreshold string               `json:"zero_threshold"`
	ZeroCount     uint64               `json:"zero_count"`
	Negative      []dumpedNativeBucket `json:"negative,omitempty"`
	Positive      []dumpedNativeBucket `json:"positive,omitempty"`
	Exemplars     []*inspectedExemplar `json:"exemplars,omitempty"`
}

// dumpedNativeBucket has the observations between its bounds. The one that is farther from zero
// belongs to it.
type dumpedNativeBucket struct {
	Index int    `json:"index"`
	Lower string `json:"lower"`
	Upper string `json:"upper"`
	Count uint64 `json:"count"`
}

func dumpedNativeOf(h *metric.NativeHistogram) *dumpedNative {
	if h == nil {
		return nil
	}
	out := &dumpedNative{Schema: h.Schema, ZeroThreshold: form.FormatFloat(h.ZeroThreshold), ZeroCount: h.ZeroCount}
	eachNative(h, func(negative bool, b dumpedNativeBucket) {
		if negative {
			out.Negative = append(out.Negative, b)
		} else {
			out.Positive = append(out.Positive, b)
		}
	})
	for _, x := range h.Exemplars {
		out.Exemplars = append(out.Exemplars, dumpedExemplar(x))
	}
	return out
}

// eachNative calls fn with each populated bucket of finite or infinite numbers.
func eachNative(h *metric.NativeHistogram, fn func(negative bool, b dumpedNativeBucket)) {
	bounds := histogram.Of(h.Schema)
	for i, n := range histogram.All(h.Negative) {
		if n > 0 {
			fn(true, dumpedNativeBucket{i, form.FormatFloat(-bounds.Upper(int32(i))), form.FormatFloat(-bounds.Upper(int32(i - 1))), n})
		}
	}
	for i, n := range histogram.All(h.Positive) {
		if n > 0 {
			fn(false, dumpedNativeBucket{i, form.FormatFloat(bounds.Upper(int32(i - 1))), form.FormatFloat(bounds.Upper(int32(i))), n})
		}
	}
}

// native returns what dumpedNativeOf had, without exemplars.
func (d *dumpedNative) native(count uint64, sum float64) (*metric.NativeHistogram, error) {
	if d == nil {
		return nil, nil
	}
	threshold, err := strconv.ParseFloat(d.ZeroThreshold, 64)
	if err != nil {
		return nil, err
	}
	spans := func(buckets []dumpedNativeBucket) (out []metric.Span) {
		next := 0
		for _, b := range buckets {
			out = append(out, metric.Span{Offset: b.Index - next, Counts: []uint64{b.Count}})
			next = b.Index + 1
		}
		return out
	}
	h := &metric.NativeHistogram{Schema: d.Schema, ZeroThreshold: threshold, ZeroCount: d.ZeroCount, Negative: spans(d.Negative), Positive: spans(d.Positive)}
	if err := histogram.Check(h, count, sum); err != nil {
		return nil, err
	}
	return h, nil
}

// nativeSamples returns native buckets as samples, which have their bounds in a label: for
// people, since no format has them so.
func nativeSamples(f *metric.Family) (out []metric.Sample) {
	for i := range f.Series {
		s := &f.Series[i]
		if s.Native == nil {
			continue
		}
		add := func(bounds string, n uint64) {
			labels := slices.Clone(s.Labels).With("native", bounds)
			out = append(out, metric.Sample{Name: f.Name + "_bucket", Labels: labels, Value: float64(n)})
		}
		zero := form.FormatFloat(s.Native.ZeroThreshold)
		if s.Native.ZeroCount > 0 {
			add(fmt.Sprintf("[-%s, %s]", zero, zero), s.Native.ZeroCount)
		}
		eachNative(s.Native, func(negative bool, b dumpedNativeBucket) {
			if negative {
				add(fmt.Sprintf("[%s, %s)", b.Lower, b.Upper), b.Count)
			} else {
				add(fmt.Sprintf("(%s, %s]", b.Lower, b.Upper), b.Count)
			}
		})
	}
	return out
}
