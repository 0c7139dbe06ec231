package send

import (
	"maps"
	"slices"

	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// Tracker knows which series the receiver may have, so that those that leave the view get a
// staleness marker. It does nothing for a family whose layout is that of the round before.
type Tracker struct {
	families map[string]*tracked
	round    uint64
}

// tracked is a family that was sent.
type tracked struct {
	typ   metric.Type
	sent  *list
	next  *list // of this round, if it differs from sent
	round uint64
}

// Gone are the series of a family that left the view.
type Gone struct {
	Name string
	Type metric.Type
	Live bool // other series of the family are still there

	// Taken has names that other families of the round have. It is nil if none of these is
	// one of this family's.
	Taken map[string]bool

	before, now *list
}

// Each calls fn with each series that left. Its values are zero. part says that the series
// itself stays, and only the buckets, quantiles or states in it have gone.
// A native histogram in it says that there were native buckets.
func (g *Gone) Each(fn func(s *metric.Series, part bool)) {
	a, b := g.before.read(), g.now.read()
	a.next()
	b.next()
	for a.kind != nil {
		r := a.compare(b)
		if r < 0 {
			fn(a.kind.series(g.Type, a.values), false)
		} else if r == 0 && !(slices.Equal(a.kind.bounds, b.kind.bounds) && slices.Equal(a.kind.states, b.kind.states) && a.kind.native == b.kind.native) {
			rest := kind{names: a.kind.names, native: a.kind.native && !b.kind.native}
			for _, bound := range a.kind.bounds {
				if !slices.Contains(b.kind.bounds, bound) {
					rest.bounds = append(rest.bounds, bound)
				}
			}
			for _, state := range a.kind.states {
				if !slices.Contains(b.kind.states, state) {
					rest.states = append(rest.states, state)
				}
			}
			if len(rest.bounds)+len(rest.states) > 0 || rest.native {
				fn(rest.series(g.Type, a.values), true)
			}
		}
		if r <= 0 {
			a.next()
		}
		if r >= 0 {
			b.next()
		}
	}
}

// Compare begins a round with these families, which all have series, and returns what has left since the rounds
// before. Settle ends the round.
func (t *Tracker) Compare(families []views.Family) (gone []*Gone) {
	if t.families == nil {
		t.families = map[string]*tracked{}
	}
	t.round++
	for i := range families {
		f := &families[i]
		s := t.families[f.Name]
		if s == nil {
			s = &tracked{typ: f.Type}
			t.families[f.Name] = s
		}
		if s.round == t.round {
			continue // two families of one name: the encoder leaves out the second
		}
		s.round = t.round
		if s.typ != f.Type {
			gone = append(gone, &Gone{Name: f.Name, Type: s.typ, before: s.sent})
			s.typ, s.sent = f.Type, nil
		}
		if s.sent != nil && s.sent.layout != 0 && s.sent.layout == f.Layout {
			continue
		}
		s.next = pack(f)
		if s.sent != nil {
			gone = append(gone, &Gone{Name: f.Name, Type: f.Type, Live: true, before: s.sent, now: s.next})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.families)) {
		if s := t.families[name]; s.round != t.round {
			gone = append(gone, &Gone{Name: name, Type: s.typ, before: s.sent})
		}
	}
	return gone
}

// Settle ends a round. If it was not delivered, the receiver may have any part of it, and the
// markers are due again.
func (t *Tracker) Settle(delivered bool) {
	for name, s := range t.families {
		switch {
		case s.round != t.round && delivered:
			delete(t.families, name)
		case s.round != t.round || s.next == nil:
		case delivered || s.sent == nil:
			s.sent = s.next
		default:
			s.sent = union(s.sent, s.next)
			// What left long ago is stale by itself, and must not use memory for ever.
			if s.sent.n > 2*s.next.n+1000 {
				s.sent = s.next
			}
		}
		s.next = nil
	}
}

// All returns all series that the receiver may have, for the end.
func (t *Tracker) All() (gone []*Gone) {
	for _, name := range slices.Sorted(maps.Keys(t.families)) {
		s := t.families[name]
		gone = append(gone, &Gone{Name: name, Type: s.typ, before: s.sent})
	}
	return gone
}
