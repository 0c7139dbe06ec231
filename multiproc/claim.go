package multiproc

import (
	"fmt"

	"github.com/multiprom/multiprom/metric"
)

// Claim gives sample names (metric.SampleNames) to owner, who writes series of
// them into the Set's Store itself, beside the instruments: to two writers of
// one series a reader would add up both. The owner keeps them as long as the
// Set is there; claiming them again is no error. The error matches ErrConflict,
// and no name was given: an instrument or another owner has one of them.
//
// An instrument that is declared later takes its names without an error: an
// owner claims before each of its updates, and withdraws where it is refused.
// owner must be comparable, best a pointer.
func (s *Set) Claim(owner any, names []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		if in := s.names[n]; in != nil {
			return fmt.Errorf("multiproc: claim %q: %w: %s %q is declared", n, ErrConflict, in.schema.Type, in.schema.Name)
		}
		if other, taken := s.claims[n]; taken && other != owner {
			return fmt.Errorf("multiproc: claim %q: %w: %v has claimed it", n, ErrConflict, other)
		}
	}
	if s.claims == nil {
		s.claims = map[string]any{}
	}
	for _, n := range names {
		s.claims[n] = owner
	}
	return nil
}

// Declares reports whether an instrument of the Set is a family of that name, as
// metric.Schema has it, and type. An adapter that publishes what others have
// gathered leaves such a family to its instrument.
func (s *Set) Declares(name string, t metric.Type) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.names[name]
	return in != nil && in.schema.Name == name && in.schema.Type == t
}
