package histogram

import (
	"cmp"
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
)

// RegionBuckets is how many buckets a region has: region k has buckets 8k to 8k+7.
const RegionBuckets = 8

// RegionOf returns the number of the region that has bucket i.
func RegionOf(i int32) int32 { return i >> 3 }

// Regions returns how many regions a histogram may have whose populated buckets are limited
// to that number.
func Regions(limit int) int { return max(8, (limit+3)/4) }

// Definition is what an application declares of a native histogram.
type Definition struct {
	Schema    int
	Limit     int     // of populated buckets
	Threshold float64 // of the zero bucket
}

// Definitions is what the definitions of some histograms come to when they merge. The zero
// value is that of none. Two that are equal have the same effect.
type Definitions struct {
	schema, limit    int     // the least; the limit is 0 if there is no definition
	zeroMin, zeroMax float64 // the least and the largest threshold
}

// Definitions returns those of one definition.
func (d Definition) Definitions() Definitions {
	return Definitions{d.Schema, d.Limit, d.Threshold, d.Threshold}
}

// With returns what both come to.
func (d Definitions) With(o Definitions) Definitions {
	switch {
	case d.limit == 0:
		return o
	case o.limit == 0:
		return d
	}
	return Definitions{min(d.schema, o.schema), min(d.limit, o.limit), min(d.zeroMin, o.zeroMin), max(d.zeroMax, o.zeroMax)}
}

// Total is the sum of native histograms. The zero value has no definition: call Define first.
type Total struct {
	Zero uint64 // observations within the threshold
	NaN  uint64 // observations of NaN, which are in no bucket

	defined          bool
	schema, limit    int
	zeroMin, zeroMax float64 // the least and the largest threshold
	sides            [2]side // the positive and the negative buckets
}

// Bucket is a bucket that has observations.
type Bucket struct {
	Index int32
	Count uint64
}

// side is the buckets of one sign.
type side struct {
	buckets []Bucket
	settled bool // ascending, each once and with a count
}

// Reset makes t the zero value, which keeps its memory.
func (t *Total) Reset() {
	positive, negative := t.sides[0].buckets[:0], t.sides[1].buckets[:0]
	*t = Total{sides: [2]side{{buckets: positive}, {buckets: negative}}}
}

// Define adds a definition. What was added before keeps its meaning.
func (t *Total) Define(d Definition) {
	if !t.defined {
		t.defined, t.schema, t.limit, t.zeroMin, t.zeroMax = true, d.Schema, d.Limit, d.Threshold, d.Threshold
		return
	}
	t.lower(d.Schema)
	t.limit = min(t.limit, d.Limit)
	t.zeroMin, t.zeroMax = min(t.zeroMin, d.Threshold), max(t.zeroMax, d.Threshold)
}

// DefineAll adds some definitions.
func (t *Total) DefineAll(d Definitions) {
	if d.limit > 0 {
		t.Define(Definition{d.schema, d.limit, d.zeroMin})
		t.Define(Definition{d.schema, d.limit, d.zeroMax})
	}
}

// Definitions returns those that t has. Their schema is the one that t has fallen to.
func (t *Total) Definitions() Definitions {
	if !t.defined {
		return Definitions{}
	}
	return Definitions{t.schema, t.limit, t.zeroMin, t.zeroMax}
}

// Schema returns the schema of all buckets.
func (t *Total) Schema() int { return t.schema }

// Add adds n observations in bucket i of that schema.
func (t *Total) Add(schema int, negative bool, i int32, n uint64) {
	if n == 0 {
		return
	}
	t.lower(schema)
	s := &t.sides[sideOf(negative)]
	i = Reduce(i, schema-t.schema)
	if last := len(s.buckets) - 1; last >= 0 && s.buckets[last].Index == i {
		s.buckets[last].Count = plus(s.buckets[last].Count, n)
	} else {
		s.buckets = append(s.buckets, Bucket{i, n})
	}
	s.settled = false
}

// AddRegion adds the counts of a region of that schema.
func (t *Total) AddRegion(schema int, negative bool, number int32, counts *[RegionBuckets]uint64) {
	for i, n := range counts {
		t.Add(schema, negative, RegionBuckets*number+int32(i), n)
	}
}

// Merge adds all that o has, which has a definition. o stays as it is.
func (t *Total) Merge(o *Total) {
	t.DefineAll(o.Definitions())
	t.Zero, t.NaN = plus(t.Zero, o.Zero), plus(t.NaN, o.NaN)
	for i := range o.sides {
		for _, b := range o.sides[i].buckets {
			t.Add(o.schema, i == 1, b.Index, b.Count)
		}
	}
}

// lower brings t to that schema, unless its own is as coarse.
func (t *Total) lower(schema int) {
	if schema >= t.schema {
		return
	}
	for i := range t.sides {
		s := &t.sides[i]
		for j := range s.buckets {
			s.buckets[j].Index = Reduce(s.buckets[j].Index, t.schema-schema)
		}
		s.settled = false
	}
	t.schema = schema
}

func byIndex(a, b Bucket) int { return cmp.Compare(a.Index, b.Index) }

// settle puts the buckets in order and adds up those that are there several times.
func (s *side) settle() {
	if s.settled {
		return
	}
	if !slices.IsSortedFunc(s.buckets, byIndex) {
		slices.SortFunc(s.buckets, byIndex)
	}
	kept := s.buckets[:0]
	for _, b := range s.buckets {
		if last := len(kept) - 1; last >= 0 && kept[last].Index == b.Index {
			kept[last].Count = plus(kept[last].Count, b.Count)
		} else {
			kept = append(kept, b)
		}
	}
	s.buckets = slices.DeleteFunc(kept, func(b Bucket) bool { return b.Count == 0 })
	s.settled = true
}

// regions returns how many regions the buckets are in.
func (s *side) regions() (n int) {
	for i, b := range s.buckets {
		if i == 0 || RegionOf(s.buckets[i-1].Index) != RegionOf(b.Index) {
			n++
		}
	}
	return n
}

// Fit lowers the schema until the populated buckets, and the regions that have them, are
// within the limit.
func (t *Total) Fit() {
	positive, negative := &t.sides[0], &t.sides[1]
	for {
		t.Settle()
		if t.schema <= MinSchema || len(positive.buckets)+len(negative.buckets) <= t.limit &&
			positive.regions()+negative.regions() <= Regions(t.limit) {
			return
		}
		t.lower(t.schema - 1)
	}
}

// Settle adds up what is there several times, so that t takes no more memory than it has
// buckets.
func (t *Total) Settle() {
	t.sides[0].settle()
	t.sides[1].settle()
}

// Buckets returns the populated buckets of that sign, ascending. They are valid until t
// changes.
func (t *Total) Buckets(negative bool) []Bucket {
	s := &t.sides[sideOf(negative)]
	s.settle()
	return s.buckets
}

// Show writes what is shown of t to out, whose slices it uses again, and returns the count.
// ok is false if that is above 2^63-1, which a server rejects with the whole scrape; damaged
// words can do that. The exemplars stay as they are. sumIsNaN says that the sum of the observations is NaN:
// only then are observations of NaN part of the count, as a server that checks it expects.
//
// The threshold is the largest of all definitions. If they differ, and it is inside a
// populated bucket, it is the upper bound of that bucket. FloatHistogram does the same, but
// not if only parts with the largest threshold have populated the bucket, which a Total does
// not know.
func (t *Total) Show(out *metric.NativeHistogram, sumIsNaN bool) (count uint64, ok bool) {
	positive, negative := t.Buckets(false), t.Buckets(true)
	out.Schema, out.ZeroThreshold, out.ZeroCount = t.schema, t.zeroMax, t.Zero
	if t.zeroMin != t.zeroMax {
		positive, negative = t.widen(out, positive, negative)
	}
	out.Positive = appendSpans(out.Positive[:0], positive)
	out.Negative = appendSpans(out.Negative[:0], negative)
	count, ok = add(out.ZeroCount, 0)
	if sumIsNaN && ok {
		count, ok = add(count, t.NaN)
	}
	for _, buckets := range [][]Bucket{positive, negative} {
		for i := 0; i < len(buckets) && ok; i++ {
			count, ok = add(count, buckets[i].Count)
		}
	}
	return count, ok
}

// widen moves buckets within the threshold to the zero bucket, and returns the others. A
// part with a smaller threshold may have put observations into the bucket that has the
// threshold inside, on either side of it. So the threshold becomes the bucket's upper bound.
func (t *Total) widen(out *metric.NativeHistogram, positive, negative []Bucket) (p, n []Bucket) {
	bounds := Of(t.schema)
	at := bounds.Index(t.zeroMax)
	upper := bounds.Upper(at)
	if upper > t.zeroMax {
		if has(positive, at) || has(negative, at) {
			out.ZeroThreshold = upper
		} else {
			at--
		}
	}
	cut := func(buckets []Bucket) []Bucket {
		i := 0
		for ; i < len(buckets) && buckets[i].Index <= at; i++ {
			out.ZeroCount = plus(out.ZeroCount, buckets[i].Count)
		}
		return buckets[i:]
	}
	return cut(positive), cut(negative)
}

func has(buckets []Bucket, index int32) bool {
	_, found := slices.BinarySearchFunc(buckets, Bucket{Index: index}, byIndex)
	return found
}

// mostGap is how many empty buckets are written as zeros, since another span takes more
// space. It is client_golang's.
const mostGap = 2

// appendSpans appends the spans of ascending buckets.
func appendSpans(dst []metric.Span, buckets []Bucket) []metric.Span {
	next := math.MinInt // the bucket after the last span
	for _, b := range buckets {
		i := int(b.Index)
		if len(dst) == 0 || i-next > mostGap {
			offset := i
			if len(dst) > 0 {
				offset -= next
			}
			dst = appendSpan(dst, offset)
		} else {
			for range i - next {
				dst[len(dst)-1].Counts = append(dst[len(dst)-1].Counts, 0)
			}
		}
		dst[len(dst)-1].Counts = append(dst[len(dst)-1].Counts, b.Count)
		next = i + 1
	}
	return dst
}

// appendSpan appends a span without counts. It uses the memory of a span that was there.
func appendSpan(dst []metric.Span, offset int) []metric.Span {
	if len(dst) == cap(dst) {
		return append(dst, metric.Span{Offset: offset})
	}
	dst = dst[:len(dst)+1]
	last := &dst[len(dst)-1]
	last.Offset, last.Counts = offset, last.Counts[:0]
	return dst
}
