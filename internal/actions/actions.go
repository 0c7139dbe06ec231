package actions

import "math/rand/v2"

// Action is something that may happen in a random test. It happens Weight times in
// as many choices as all weights of a List add up to. Without Do, nothing happens.
type Action struct {
	Weight int
	Name   string
	Do     func()
}

// List is what may happen.
type List []Action

// Random does one of the actions, and returns its name. The same state of r chooses the
// same action.
func (l List) Random(r *rand.Rand) string {
	all := 0
	for _, a := range l {
		all += a.Weight
	}
	n := r.IntN(all)
	for _, a := range l {
		if n -= a.Weight; n >= 0 {
			continue
		}
		if a.Do != nil {
			a.Do()
		}
		return a.Name
	}
	panic("unreachable: the weights add up to more than n")
}
