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

// free reports whether the names of series that left are no other family's.
func (n *names) free(g *Gone, samples []string) bool {
	return g.Live && n.families[g.Name] || !n.anyTaken(samples)
}

func (n *names) anyTaken(samples []string) bool {
	for _, name := range samples {
		if n.taken[name] {
			return true
		}
	}
	return false
}
