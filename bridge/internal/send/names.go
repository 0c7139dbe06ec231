package send

// names are the names of samples in a round. Two families cannot have the same.
type names struct {
	taken    map[string]bool
	families map[string]bool
}

func (n *names) reset() {
	if n.taken == nil {
		n.taken, n.families = map[string]bool{}, map[string]bool{}
	}
	clear(n.taken)
	clear(n.families)
}

// take reports whether a family can have the names of its samples, and gives it them.
func (n *names) take(family string, samples []string) bool {
	if n.anyTaken(samples) {
		return false
	}
	for _, name := range samples {
		n.taken[name] = true
	}
	n.families[family] = true
	return true
}

// takenOf returns all names that are taken if other families have names of series that left, and
// nil otherwise.
func (n *names) takenOf(g *Gone, samples []string) map[string]bool {
	if g.Live && n.families[g.Name] || !n.anyTaken(samples) {
		return nil
	}
	return n.taken
}

func (n *names) anyTaken(samples []string) bool {
	for _, name := range samples {
		if n.taken[name] {
			return true
		}
	}
	return false
}
