package sum

import "math"

// Exact adds floats without rounding, and rounds once, at the end. So the sum of the same
// numbers is the same in any order and any grouping. Otherwise compaction, which regroups
// additions, could make a merged sum smaller by a bit, and rate() would take that for a
// reset.
//
// The sum is First + Rest[0] + Rest[1] + …, an expansion of non-overlapping floats of
// ascending magnitude (J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997).
// Almost every real sum needs one part.
type Exact struct {
	First float64   // the only part if Rest is empty, otherwise the smallest
	Rest  []float64 // the others, ascending

	Odd     bool    // an infinity or NaN was added, or the sum left the range of floats
	Special float64 // the plain sum of these
}

// Add adds x exactly.
func (s *Exact) Add(x float64) {
	// If x or the sum is not finite, err is NaN.
	if sum, err := TwoSum(s.First, x); err == 0 && len(s.Rest) == 0 {
		s.First = sum
	} else {
		s.addInexact(x)
	}
}

func (s *Exact) addInexact(x float64) {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		s.Odd = true
		s.Special += x
		return
	}
	s.grow(x)
}

// grow adds x to an expansion. Each part keeps what is lost to rounding, and the rounded
// sum goes on to the next part.
func (s *Exact) grow(x float64) {
	var buf [8]float64
	parts := append(append(buf[:0], s.First), s.Rest...)
	kept := s.Rest[:0]
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
		sum, err := TwoSum(x, p)
		if math.IsInf(sum, 0) {
			s.Odd, s.Special = true, s.Special+sum
			return
		}
		keep(err)
		x = sum
	}
	keep(x)
	s.First, s.Rest = first, kept
}

// Finite returns a float by its bits, and 0 if it is not finite.
func Finite(bits uint64) float64 {
	if v := math.Float64frombits(bits); v-v == 0 {
		return v
	}
	return 0
}

// TwoSum returns a + b rounded, and what the rounding lost.
func TwoSum(a, b float64) (sum, err float64) {
	sum = a + b
	bb := sum - a
	return sum, (a - (sum - bb)) + (b - bb)
}

// Join adds another sum.
func (s *Exact) Join(o *Exact) {
	s.Add(o.First)
	for _, p := range o.Rest {
		s.Add(p)
	}
	if o.Odd {
		s.Odd = true
		s.Special += o.Special
	}
}

// Round returns the float nearest to the sum, ties to even.
func (s *Exact) Round() float64 {
	switch {
	case s.Odd:
		return s.Special
	case len(s.Rest) == 0:
		return s.First
	}
	// From the largest down, until something is lost to rounding.
	next := len(s.Rest) - 1
	hi, lo := s.Rest[next], 0.0
	part := func(i int) float64 {
		if i < 0 {
			return s.First
		}
		return s.Rest[i]
	}
	for i := next - 1; i >= -1; i-- {
		if hi, lo = TwoSum(hi, part(i)); lo != 0 {
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
func (s *Exact) parts() []uint64 {
	if s.First == 0 && len(s.Rest) == 0 {
		return nil
	}
	out := []uint64{math.Float64bits(s.First)}
	for _, p := range s.Rest {
		out = append(out, math.Float64bits(p))
	}
	return out
}

// words returns the parts, and then the infinity or NaN, if the sum is one.
func (s *Exact) words() []uint64 {
	if s.Odd {
		return append(s.parts(), math.Float64bits(s.Special))
	}
	return s.parts()
}
