package remotewrite

import (
	"bytes"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// Field numbers of a native histogram and its spans, of both versions.
const (
	histogramCount, histogramSum                                        = 1, 3
	histogramSchema, histogramThreshold, histogramZero                  = 4, 5, 6
	histogramNegative, histogramNegativeDeltas                          = 8, 9
	histogramPositive, histogramPositiveDeltas                          = 11, 12
	histogramTime, histogramStart                      protowire.Number = 15, 17 // start only in 2.0
	spanOffset, spanLength                                              = 1, 2
)

// When native buckets are sent.
const (
	nativeAuto   = "auto" // in 2.0
	nativeAlways = "always"
	nativeNever  = "never"
)

// sendsNative reports whether the round has native buckets.
func (e *encoder) sendsNative() bool {
	return e.native == nativeAlways || e.native != nativeNever && e.v2
}

// nativeSample writes the native buckets of s as a series of its own, or a marker that it ended.
func (e *encoder) nativeSample(s *metric.Series, at, start int64, stale bool) {
	if e.update != nil {
		e.update.failed = true
		return
	}
	if e.taken[e.family.base.text] {
		return
	}
	e.makeRoom()
	e.recordSample(0, false, false)
	var exemplars []byte
	if !stale {
		for _, x := range e.news(histogram.Exemplars(s.Buckets, s.Native)) {
			exemplars = append(exemplars, e.exemplar(x, at)...)
		}
	}
	h := e.histogram[:0]
	if stale {
		h = appendDouble(h, histogramSum, staleNaN)
	} else {
		h = appendNative(h, s)
	}
	h = protowire.AppendVarint(protowire.AppendTag(h, histogramTime, protowire.VarintType), uint64(at))
	if e.v2 && start != 0 {
		h = protowire.AppendVarint(protowire.AppendTag(h, histogramStart, protowire.VarintType), uint64(start))
	}
	e.histogram = h

	field := series1Hist
	var meta []byte
	if e.v2 {
		field, meta = series2Hist, e.metadata2()
	}
	rest := 1 + protowire.SizeBytes(len(h)) + len(exemplars) + len(meta)
	dst := e.labelled(&e.family.base, nil, rest)
	if e.v2 { // in the order of the fields
		dst = protowire.AppendBytes(appendTag(dst, field, protowire.BytesType), h)
		dst = append(dst, exemplars...)
	} else {
		dst = append(dst, exemplars...)
		dst = protowire.AppendBytes(appendTag(dst, field, protowire.BytesType), h)
	}
	e.series = append(dst, meta...)
	e.samples++
}

// news returns the exemplars that the receiver does not have, in the order of time. Prometheus
// refuses one that is older than the newest that it has of the series. So of those of one
// millisecond there is only one, and if nothing is known of earlier rounds, only the newest. What
// is newer than the round, which was read after it had its time, is left to the next one.
func (e *encoder) news(all []*metric.Exemplar) []*metric.Exemplar {
	since := e.round.Since.UnixMilli() // long ago if it is zero
	all = slices.DeleteFunc(all, func(x *metric.Exemplar) bool {
		at := x.Timestamp.UnixMilli()
		return x.Timestamp.IsZero() || at <= since || at > e.now
	})
	slices.SortStableFunc(all, (*metric.Exemplar).Compare)
	kept := all[:0]
	for i, x := range all {
		if i+1 == len(all) || !e.round.Since.IsZero() && x.Timestamp.UnixMilli() < all[i+1].Timestamp.UnixMilli() {
			kept = append(kept, x)
		}
	}
	return kept
}

// appendNative appends the fields of a histogram but its times. The reset hint is left out: it is
// not known whether the receiver has the sample before.
func appendNative(dst []byte, s *metric.Series) []byte {
	h := s.Native
	dst = appendUint(dst, histogramCount, s.Count)
	sum := s.Sum
	if s.NoSum {
		sum = math.NaN()
	}
	dst = appendDouble(dst, histogramSum, bitsOf(sum))
	dst = appendUint(dst, histogramSchema, protowire.EncodeZigZag(int64(h.Schema)))
	dst = appendDouble(dst, histogramThreshold, math.Float64bits(h.ZeroThreshold))
	dst = appendUint(dst, histogramZero, h.ZeroCount)
	dst = appendSpans(dst, histogramNegative, histogramNegativeDeltas, h.Negative)
	return appendSpans(dst, histogramPositive, histogramPositiveDeltas, h.Positive)
}

func appendSpans(dst []byte, field, deltas int, spans []metric.Span) []byte {
	size, before := 0, uint64(0)
	each := func(fn func(delta uint64)) {
		before = 0
		for _, s := range spans {
			for _, n := range s.Counts {
				fn(protowire.EncodeZigZag(int64(n - before)))
				before = n
			}
		}
	}
	for _, s := range spans {
		offset := protowire.EncodeZigZag(int64(s.Offset))
		dst = appendTag(dst, field, protowire.BytesType)
		dst = append(dst, byte(2+protowire.SizeVarint(offset)+protowire.SizeVarint(uint64(len(s.Counts)))))
		dst = appendUint(dst, spanOffset, offset)
		dst = appendUint(dst, spanLength, uint64(len(s.Counts)))
	}
	if each(func(d uint64) { size += protowire.SizeVarint(d) }); size == 0 {
		return dst
	}
	dst = protowire.AppendVarint(appendTag(dst, deltas, protowire.BytesType), uint64(size))
	each(func(d uint64) { dst = protowire.AppendVarint(dst, d) })
	return dst
}

// convertNative turns a histogram of 2.0 into one of 1.0: without its start time.
func convertNative(src []byte) (dst []byte, err error) {
	for len(src) > 0 {
		n, _, size := protowire.ConsumeField(src)
		if size < 0 {
			return nil, errConvert
		}
		if n != histogramStart {
			dst = append(dst, src[:size]...)
		}
		src = src[size:]
	}
	return dst, nil
}

// classicOf returns the series that 1.0 has of a histogram with only native buckets: the bucket
// +Inf, sum and count.
func classicOf(labels []labelPair, h []byte) ([][]byte, error) {
	var count, at, sum uint64
	err := fields(h, func(n protowire.Number, _ []byte, bits uint64) error {
		switch n {
		case histogramCount:
			count = bits
		case histogramSum:
			sum = bits
		case histogramTime:
			at = bits
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	counted := math.Float64bits(float64(count))
	if sum == staleNaN {
		counted = staleNaN
	}
	var out [][]byte
	for _, part := range []struct {
		suffix string
		bits   uint64
	}{{"_bucket", counted}, {"_sum", sum}, {"_count", counted}} {
		own := slices.Clone(labels)
		for i := range own {
			if own[i].name == nameLabel {
				own[i].value += part.suffix
			}
		}
		if part.suffix == "_bucket" {
			own = append(own, labelPair{"le", "+Inf"})
			sortPairs(own)
		}
		sample := appendUint(appendDouble(nil, sampleValue, part.bits), sampleTime, at)
		out = append(out, protowire.AppendBytes(appendTag(appendPairs(own), series1Samples, protowire.BytesType), sample))
	}
	return out, nil
}

// hasClassic reports whether a request has the classic series of the histogram of that name.
func hasClassic(symbols [][]byte, name string) bool {
	return slices.ContainsFunc(symbols, func(s []byte) bool { return bytes.Equal(s, []byte(name+"_count")) })
}
