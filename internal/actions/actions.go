package actions

import "math/rand/v2"

// Action is something that may happen in a random test. Its probability is Weight divided by
// the sum of all weights of the List. If Do is nil, nothing happens.
type Action struct {
	Weight int
	Name   string
	Do     func()
}

// List is the actions to choose among.
type List []Action

// Random performs one of the actions and returns its name. The same state of r chooses the
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
