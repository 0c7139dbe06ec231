package aggregate

import "math"

// exactSum adds floats without rounding and rounds once, at the end: the sum
// of the same numbers is the same in any order and any grouping. Were it not,
// compacting, which regroups additions, would let a merged sum step back by a bit,
// and rate() would take that for a reset.
//
// The sum is parts[0] + parts[1] + …, an expansion of non-overlapping floats of
// ascending magnitude (J. R. Shewchuk, Adaptive Precision Floating-Point
// Arithmetic, 1997). One part holds almost every real sum.
type exactSum struct {
	first float64   // the only part while rest is empty, else the smallest
	rest  []float64 // the others, ascending

	odd     bool    // an infinity or NaN was added, or the sum left the range of floats
	special float64 // the plain sum of these
}

// add adds x exactly.
func (s *exactSum) add(x float64) {
	// Where x or the sum is no finite number, err is NaN.
	if sum, err := twoSum(s.first, x); err == 0 && len(s.rest) == 0 {
		s.first = sum
	} else {
		s.addInexact(x)
	}
}

func (s *exactSum) addInexact(x float64) {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		s.odd = true
		s.special += x
		return
	}
	s.grow(x)
}

// grow adds x to an expansion: each part takes up what it can, and hands the
// rest of the sum on to the next.
func (s *exactSum) grow(x float64) {
	var buf [8]float64
	parts := append(append(buf[:0], s.first), s.rest...)
	kept := s.rest[:0]
	first, has := 0.0, false
	keep := func(p float64) {
		switch {
		case p == 0:
		case !has:
			first, has = p, true
		default:
			kept = append(kept, p)
		}
	}
	for _, p := range parts {
		sum, err := twoSum(x, p)
		if math.IsInf(sum, 0) {
			s.odd, s.special = true, s.special+sum
			return
		}
		keep(err)
		x = sum
	}
	keep(x)
	s.first, s.rest = first, kept
}

// twoSum returns a + b rounded, and what the rounding lost.
func twoSum(a, b float64) (sum, err float64) {
	sum = a + b
	bb := sum - a
	return sum, (a - (sum - bb)) + (b - bb)
}

// join adds another sum.
func (s *exactSum) join(o *exactSum) {
	s.add(o.first)
	for _, p := range o.rest {
		s.add(p)
	}
	if o.odd {
		s.odd = true
		s.special += o.special
	}
}

// round returns the float nearest to the sum, ties to even.
func (s *exactSum) round() float64 {
	switch {
	case s.odd:
		return s.special
	case len(s.rest) == 0:
		return s.first
	}
	// From the largest down, until something is lost to rounding.
	next := len(s.rest) - 1
	hi, lo := s.rest[next], 0.0
	part := func(i int) float64 {
		if i < 0 {
			return s.first
		}
		return s.rest[i]
	}
	for i := next - 1; i >= -1; i-- {
		if hi, lo = twoSum(hi, part(i)); lo != 0 {
			// A tie between two floats is decided by what is below it.
			if i > -1 && (lo < 0) == (part(i-1) < 0) {
				if y := 2 * lo; hi+y-hi == y {
					hi += y
				}
			}
			return hi
		}
	}
	return hi
}

// parts returns the finite parts.
func (s *exactSum) parts() []uint64 {
	if s.first == 0 && len(s.rest) == 0 {
		return nil
	}
	out := []uint64{math.Float64bits(s.first)}
	for _, p := range s.rest {
		out = append(out, math.Float64bits(p))
	}
	return out
}

// words returns the parts, and after them the infinity or NaN that the sum is.
func (s *exactSum) words() []uint64 {
	if s.odd {
		return append(s.parts(), math.Float64bits(s.special))
	}
	return s.parts()
}
