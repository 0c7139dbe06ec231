package histogram

import (
	"errors"
	"fmt"
	"math"
)

// Words of a Total as an archive keeps it (docs/format.md, "Native histograms").
const (
	wordHead    = 0 // schema, limit and number of buckets
	wordZeroMin = 1
	wordZeroMax = 2
	wordZero    = 3
	wordNaN     = 4
	wordBuckets = 5 // two words each

	maxLimit = math.MaxUint16
)

// AppendWords appends t in the form of an archive. Call Fit before, but nothing else is cut:
// what Show moves to the zero bucket must be able to leave it with other parts.
func (t *Total) AppendWords(dst []uint64) []uint64 {
	positive, negative := t.Buckets(false), t.Buckets(true)
	head := uint64(uint8(int8(t.schema))) | uint64(min(t.limit, maxLimit))<<8 | uint64(len(positive)+len(negative))<<32
	dst = append(dst, head, math.Float64bits(t.zeroMin), math.Float64bits(t.zeroMax), t.Zero, t.NaN)
	for _, b := range positive {
		dst = append(dst, uint64(uint32(b.Index)), b.Count)
	}
	for _, b := range negative {
		dst = append(dst, signBit|uint64(uint32(b.Index)), b.Count)
	}
	return dst
}

// ReadWords makes t what AppendWords has appended, and returns the words after that. If the
// words cannot be those of a Total, t is undefined.
func (t *Total) ReadWords(words []uint64) (rest []uint64, err error) {
	t.Reset()
	if len(words) < wordBuckets {
		return nil, errShort
	}
	head := words[wordHead]
	schema, limit, n := int(int8(head)), int(head>>8&maxLimit), head>>32
	zeroMin, zeroMax := math.Float64frombits(words[wordZeroMin]), math.Float64frombits(words[wordZeroMax])
	switch {
	case schema < MinSchema || schema > MaxSchema || head>>24&0xFF != 0:
		return nil, fmt.Errorf("a native histogram has the schema %d", schema)
	case limit == 0:
		return nil, errors.New("a native histogram has no limit of buckets")
	case !(zeroMin >= 0 && zeroMin <= zeroMax && zeroMax <= math.MaxFloat64): // NaN is none of these
		return nil, fmt.Errorf("a native histogram has the zero thresholds %v and %v", zeroMin, zeroMax)
	case n > uint64(len(words)-wordBuckets)/2:
		return nil, errShort
	}
	t.Define(Definition{schema, limit, zeroMin})
	t.zeroMax = zeroMax
	t.Zero, t.NaN = words[wordZero], words[wordNaN]
	words = words[wordBuckets:]
	first, last := Range(schema)
	for i := range n {
		at, count := words[2*i], words[2*i+1]
		index := int32(uint32(at))
		s := &t.sides[sideOf(at&signBit != 0)]
		switch {
		case at&^(signBit|math.MaxUint32) != 0 || index < first || index > last:
			return nil, fmt.Errorf("a native histogram of schema %d has bucket %#x", schema, at)
		case count == 0:
			return nil, errors.New("a native histogram has an empty bucket")
		case len(s.buckets) > 0 && s.buckets[len(s.buckets)-1].Index >= index, s == &t.sides[0] && len(t.sides[1].buckets) > 0:
			return nil, errors.New("the buckets of a native histogram are not in order")
		}
		s.buckets = append(s.buckets, Bucket{index, count})
	}
	t.sides[0].settled, t.sides[1].settled = true, true
	return words[2*n:], nil
}

var errShort = errors.New("a native histogram has fewer words than it says")
