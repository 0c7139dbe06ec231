package histogram

import (
	"cmp"
	"math"
	"slices"
)

// MostExemplars is how many native exemplars a series can have.
const MostExemplars = 16

// Held is what matters of a native exemplar: its value, which is not NaN, and when it was
// observed, in nanoseconds since 1970.
type Held struct {
	Value float64
	Time  int64
}

// Displaced returns which exemplar a new one takes the place of, if there is no room for both:
// the oldest, if it is older by more than ttl nanoseconds. Otherwise the older one of the
// closest pair, so that the values stay spread out. If the new one is closer to a neighbour
// than that pair is, it displaces this neighbour. held has 1 to MostExemplars elements, in any
// order. It is the rule of client_golang.
func Displaced(held []Held, added Held, ttl int64) int {
	var all [MostExemplars]int
	order := all[:len(held)] // by value
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(held[a].Value, held[b].Value) })
	if len(order) == 1 {
		return 0
	}

	oldest := order[0]
	for _, i := range order {
		if held[i].Time < held[oldest].Time {
			oldest = i
		}
	}
	if added.Time-held[oldest].Time > ttl {
		return oldest
	}

	closest := math.Inf(1)
	out := older(held, order[0], order[1])
	for k := 1; k < len(order); k++ {
		if d := distance(held[order[k-1]].Value, held[order[k]].Value); d < closest {
			closest, out = d, older(held, order[k-1], order[k])
		}
	}
	next, _ := slices.BinarySearchFunc(order, added.Value, func(i int, x float64) int { return cmp.Compare(held[i].Value, x) })
	for _, k := range []int{next - 1, next} {
		if k < 0 || k == len(order) {
			continue
		}
		if d := distance(held[order[k]].Value, added.Value); d < closest {
			closest, out = d, order[k]
		}
	}
	return out
}

// older returns the older one of two neighbours, the first if they are of the same age.
func older(held []Held, i, j int) int {
	if held[j].Time < held[i].Time {
		return j
	}
	return i
}

// distance is how far apart two values are in buckets: the difference of their logarithms.
// Values of different signs are as far apart as possible.
func distance(a, b float64) float64 {
	switch {
	case a == b:
		return 0
	case a < 0 && b > 0, a > 0 && b < 0:
		return math.Inf(1)
	}
	return math.Abs(math.Log(math.Abs(a)) - math.Log(math.Abs(b)))
}

// Spread returns which of some exemplars stay if there is room for most of them: as long as
// there are too many, the older one of the closest pair goes. They are in ascending order of
// values, and so is the result.
func Spread(held []Held, most int) (stay []int) {
	for i := range held {
		stay = append(stay, i)
	}
	for len(stay) > max(most, 1) {
		closest, out := math.Inf(1), older(held, stay[0], stay[1])
		for k := 1; k < len(stay); k++ {
			if d := distance(held[stay[k-1]].Value, held[stay[k]].Value); d < closest {
				closest, out = d, older(held, stay[k-1], stay[k])
			}
		}
		stay = slices.DeleteFunc(stay, func(i int) bool { return i == out })
	}
	return stay[:min(len(stay), max(most, 0))]
}
