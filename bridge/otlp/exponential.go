package otlp

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// Field numbers of a point of an exponential histogram.
const (
	exponentialAttributes, exponentialScale        = 1, 6
	exponentialZero                                = 7
	exponentialPositive, exponentialNegative       = 8, 9
	exponentialFlags, exponentialExemplars         = 10, 11
	exponentialThreshold                           = 14
	exponentialOffset, exponentialCounts           = 1, 2
	mostDense                                int32 = 1280 // buckets of a sign that are sent, the empty ones too
)

// exponential returns a point with the native buckets of s. OTLP has no place for infinities and
// NaN: they are not in the count, and if the sum is not finite, there is none.
func (e *encoder) exponential(s *metric.Series, ended bool) []byte {
	dst := e.times(retag(e.point[:0], e.attrs), s, ended)
	if ended {
		e.point = appendUint(dst, exponentialFlags, noRecordedValue)
		return e.point
	}
	h := s.Native
	scale, positive, negative := h.Schema, finite(h.Schema, h.Positive), finite(h.Schema, h.Negative)
	for scale > histogram.MinSchema && (positive.width() > mostDense || negative.width() > mostDense) {
		scale, positive, negative = scale-1, positive.coarser(), negative.coarser()
	}
	dst = appendFixed(dst, pointCount, h.ZeroCount+positive.total()+negative.total())
	if !s.NoSum && !math.IsNaN(s.Sum) && !math.IsInf(s.Sum, 0) {
		dst = appendFixed(dst, pointSum, math.Float64bits(s.Sum))
	}
	dst = appendUint(dst, exponentialScale, protowire.EncodeZigZag(int64(scale)))
	dst = appendFixed(dst, exponentialZero, h.ZeroCount)
	dst = positive.append(dst, exponentialPositive)
	dst = negative.append(dst, exponentialNegative)
	for _, x := range histogram.Exemplars(s.Buckets, h) {
		dst = e.appendExemplar(dst, exponentialExemplars, x, s)
	}
	dst = appendFixed(dst, exponentialThreshold, math.Float64bits(h.ZeroThreshold))
	e.point = dst
	return dst
}

// retag appends attributes of a histogram as those of an exponential one. The labels of a series
// are kept in one form.
func retag(dst, attrs []byte) []byte {
	for len(attrs) > 0 {
		size, n := protowire.ConsumeVarint(attrs[1:])
		if n < 0 {
			break // never: the encoder wrote them
		}
		next := 1 + n + int(size)
		dst = append(appendTag(dst, exponentialAttributes, protowire.BytesType), attrs[1:next]...)
		attrs = attrs[next:]
	}
	return dst
}

// dense is the populated buckets of one sign, in ascending order.
type dense []bucket

type bucket struct {
	index int32
	count uint64
}

// finite returns the populated buckets of finite values.
func finite(schema int, spans []metric.Span) (out dense) {
	_, infinite := histogram.Range(schema)
	for i, n := range histogram.All(spans) {
		if n > 0 && i < int(infinite) {
			out = append(out, bucket{int32(i), n})
		}
	}
	return out
}

// width is how many buckets there are from the first to the last.
func (d dense) width() int32 {
	if len(d) == 0 {
		return 0
	}
	return d[len(d)-1].index - d[0].index + 1
}

func (d dense) total() (n uint64) {
	for _, b := range d {
		n += b.count
	}
	return n
}

// coarser returns d with buckets that are twice as wide.
func (d dense) coarser() (out dense) {
	for _, b := range d {
		i := (b.index-1)>>1 + 1
		if n := len(out); n > 0 && out[n-1].index == i {
			out[n-1].count += b.count
			continue
		}
		out = append(out, bucket{i, b.count})
	}
	return out
}

// append appends the buckets as a field. OTLP's numbers are one less than ours.
func (d dense) append(dst []byte, field int) []byte {
	if len(d) == 0 {
		return dst
	}
	counts := make([]byte, 0, 2*d.width())
	next := d[0].index
	for _, b := range d {
		for ; next < b.index; next++ {
			counts = append(counts, 0)
		}
		counts = protowire.AppendVarint(counts, b.count)
		next++
	}
	offset := protowire.EncodeZigZag(int64(d[0].index - 1))
	dst = appendHead(dst, field, 1+protowire.SizeVarint(offset)+headSize(len(counts))+len(counts))
	dst = appendUint(dst, exponentialOffset, offset)
	return appendMessage(dst, exponentialCounts, counts)
}
