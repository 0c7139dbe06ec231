package registry

import (
	"context"

	"github.com/multiprom/multiprom/metric"
)

// Gatherer returns the families of one scrape: a Registry, a merged directory, or a
// restricted view of either.
type Gatherer interface {
	// Gather returns the families sorted by name, each one's series by labels.
	// Beside an error it returns all families that it could gather, and the caller
	// decides whether to serve them. Gather is safe for concurrent use. The families are
	// shared and must not be changed.
	Gather(ctx context.Context) ([]*metric.Family, error)
}

// GathererFunc makes a function a Gatherer.
type GathererFunc func(ctx context.Context) ([]*metric.Family, error)

// Gather calls f.
func (f GathererFunc) Gather(ctx context.Context) ([]*metric.Family, error) { return f(ctx) }
