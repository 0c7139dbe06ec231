package sum

import (
	"cmp"
	"math"
	"slices"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// Union returns the bucket bounds that are in a or b.
func Union(a, b []float64) []float64 {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// PlaceBuckets returns the place of each bucket of bounds, +Inf included, in the union.
func PlaceBuckets(bounds, union []float64) []int {
	out := make([]int, len(bounds)+1)
	for i, b := range bounds {
		out[i], _ = slices.BinarySearch(union, b)
	}
	out[len(bounds)] = len(union)
	return out
}

// AddCounts adds counts of buckets to others. bucket is as in Accumulator.Add.
func AddCounts(to, counts []uint64, bucket []int) {
	if bucket != nil {
		for i, n := range counts {
			to[bucket[i]] += n
		}
		return
	}
	for len(to) >= 4 && len(counts) >= 4 {
		a, b := (*[4]uint64)(to), (*[4]uint64)(counts)
		a[0] += b[0]
		a[1] += b[1]
		a[2] += b[2]
		a[3] += b[3]
		to, counts = to[4:], counts[4:]
	}
	for i, n := range counts {
		to[i] += n
	}
}

// BucketOf returns the number of the bucket with that upper bound, or -1 if no file has it
// any more.
func BucketOf(bounds []float64, le float64) int {
	i, there := slices.BinarySearch(bounds, le)
	if !there && !math.IsInf(le, 1) {
		return -1
	}
	return i
}

// ExemplarBucket returns the bucket of an exemplar with that value, or 0 if the schema has
// no buckets. The bucket in the file does not say it, because the file's buckets may be
// wider than the family's.
func ExemplarBucket(schema *metric.Schema, bounds []float64, value float64) (i int) {
	switch {
	case schema.Type != metric.Histogram:
		return 0
	case math.IsNaN(value):
		return len(bounds)
	}
	i, _ = slices.BinarySearch(bounds, value)
	return i
}

// SpreadExemplars returns which exemplars of native buckets are shown if there are at most so
// many, in the order of their values. That does not depend on the order of all.
func SpreadExemplars(all []*metric.Exemplar, most int) []*metric.Exemplar {
	all = slices.Clone(all)
	slices.SortFunc(all, func(x, y *metric.Exemplar) int { return cmp.Or(cmp.Compare(x.Value, y.Value), x.Compare(y)) })
	all = slices.CompactFunc(all, func(x, y *metric.Exemplar) bool { return x.Compare(y) == 0 })
	all = slices.DeleteFunc(all, func(x *metric.Exemplar) bool { return math.IsNaN(x.Value) })
	if len(all) <= most {
		return all
	}
	held := make([]histogram.Held, len(all))
	for i, x := range all {
		held[i] = histogram.Held{Value: x.Value, Time: x.Timestamp.UnixNano()}
	}
	stay := histogram.Spread(held, most)
	for to, i := range stay {
		all[to] = all[i]
	}
	return all[:len(stay)]
}

// All series of a histogram have the buckets of its family: those of all its files
// together. Workers that run a few versions of a program share most of them. But if each
// series has buckets of its own, the family needs the square of what the files have: for 1
// MB of files it would be 400 MB here, and more as text. So the words that were read bound
// the words of a family.

const (
	roomPerWord = 16      // words of a family for each word of all files
	roomAtLeast = 1 << 16 // words of a family, however small the files are
)

// RoomFor returns how many series a family of that many bounds may have if the files have
// that many words.
func RoomFor(words, bounds int) int {
	return int(max(1, (roomPerWord*int64(words)+roomAtLeast)/int64(bounds+1))) // int may have 32 bits
}
