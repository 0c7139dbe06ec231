package registry

import (
	"context"

	"github.com/multiprom/multiprom/metric"
)

// Gatherer yields the families of one scrape: a Registry, a merged directory,
// a restricted view of either.
type Gatherer interface {
	// Gather returns the families sorted by name, each one's series by labels.
	// On an error the families that could be had are returned beside it, so
	// that the caller decides whether to serve them. Gather is safe for
	// concurrent use; the families are shared and must not be changed.
	Gather(ctx context.Context) ([]*metric.Family, error)
}

// GathererFunc makes a function a Gatherer.
type GathererFunc func(ctx context.Context) ([]*metric.Family, error)

// Gather calls f.
func (f GathererFunc) Gather(ctx context.Context) ([]*metric.Family, error) { return f(ctx) }
