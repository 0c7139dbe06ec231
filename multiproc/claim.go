package multiproc

import (
	"fmt"

	"github.com/multiprom/multiprom/metric"
)

func (s *Set) claim(owner any, names []string) error {
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

func (s *Set) declares(name string, t metric.Type) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.names[name]
	return in != nil && in.schema.Name == name && in.schema.Type == t
}
