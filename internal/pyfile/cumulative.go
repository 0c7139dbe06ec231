package pyfile

import (
	"math"
	"slices"
)

// cumulative are the buckets that GitLab's client for Ruby has written, by
// series: the records of each, by their bounds. There a bucket's value has those
// of the buckets below it too.
type cumulative map[uint32][]cumulativeBucket

type cumulativeBucket struct {
	bound  float64
	record int
}

func (c *cumulative) add(keys *KeySet, key uint32, record int) {
	if *c == nil {
		*c = cumulative{}
	}
	k := &keys.keys[key]
	b := cumulativeBucket{k.Bound, record}
	all := (*c)[k.Series]
	i, _ := slices.BinarySearchFunc(all, b, func(x, y cumulativeBucket) int {
		if x.bound < y.bound {
			return -1
		}
		return 1 // of equal ones, the later record comes later
	})
	(*c)[k.Series] = slices.Insert(all, i, b)
}

// separate turns the values into what each bucket has by itself. One that is
// less than the bucket below it is of an observation that is half written, or was
// when its process was killed.
func (c cumulative) separate(values []uint64) {
	for _, all := range c {
		below := 0.0
		for _, b := range all {
			n := math.Float64frombits(values[b.record])
			if !(n > below) {
				n = below
			}
			values[b.record], below = math.Float64bits(n-below), n
		}
	}
}
