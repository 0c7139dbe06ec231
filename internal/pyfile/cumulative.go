package pyfile

import (
	"math"
	"slices"
)

// cumulative are the bucket records of GitLab's client for Ruby, by series and then by
// bound. In that client's files a bucket's value includes the buckets below it.
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
		return 1 // of equal bounds, the later record comes later
	})
	(*c)[k.Series] = slices.Insert(all, i, b)
}

// separate turns the values into the count of each bucket alone. If a bucket is less than
// the one below it, an observation is half written, or was when its process was killed.
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
