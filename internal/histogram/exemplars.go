package histogram

import (
	"cmp"
	"container/heap"
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
// values, and so is the result. Many processes may have some each, so it takes n log n.
func Spread(held []Held, most int) (stay []int) {
	s := pairs{held: held, gaps: make([]float64, len(held)), links: make([]links, len(held))}
	for i := range held {
		s.links[i] = links{before: i - 1, after: i + 1, at: i}
		if i+1 < len(held) {
			s.gaps[i] = distance(held[i].Value, held[i+1].Value)
			s.heap = append(s.heap, i)
		}
	}
	heap.Init(&s)
	for range len(held) - max(most, 1) {
		left := s.heap[0]
		s.drop(older(held, left, s.links[left].after))
	}
	if most <= 0 || len(held) == 0 {
		return nil
	}
	for i := s.first; i < len(held); i = s.links[i].after {
		stay = append(stay, i)
	}
	return stay
}

// pairs are exemplars in the order of their values, with a heap of those that have one after
// them: the one that is closest to it comes first, of equal ones the smallest.
type pairs struct {
	held  []Held
	gaps  []float64 // by exemplar: the distance to the one after it
	links []links   // by exemplar
	heap  []int
	first int // exemplar
}

// links are the neighbours of an exemplar that are still there, and its position in the heap.
type links struct{ before, after, at int }

// drop takes an exemplar out.
func (s *pairs) drop(i int) {
	before, after := s.links[i].before, s.links[i].after
	if after < len(s.held) {
		heap.Remove(s, s.links[i].at)
		s.links[after].before = before
	}
	switch {
	case before < 0:
		s.first = after
		return
	case after == len(s.held):
		heap.Remove(s, s.links[before].at)
	default:
		s.gaps[before] = distance(s.held[before].Value, s.held[after].Value)
		heap.Fix(s, s.links[before].at)
	}
	s.links[before].after = after
}

func (s *pairs) Len() int { return len(s.heap) }

func (s *pairs) Less(i, j int) bool {
	a, b := s.heap[i], s.heap[j]
	return cmp.Or(cmp.Compare(s.gaps[a], s.gaps[b]), cmp.Compare(a, b)) < 0
}

func (s *pairs) Swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.links[s.heap[i]].at, s.links[s.heap[j]].at = i, j
}

func (s *pairs) Push(any) {} // heap.Interface has it; there is never one more

func (s *pairs) Pop() any {
	s.heap = s.heap[:len(s.heap)-1]
	return nil
}
