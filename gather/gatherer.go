package gather

import (
	"context"

	"github.com/multiprom/multiprom/metric"
)

// Gatherer returns the families of one scrape.
type Gatherer interface {
	// Gather returns the families sorted by name, each one's series by labels.
	// Beside an error it returns all families that it could gather, and the caller
	// decides whether to serve them. Gather is safe for concurrent use. The families are
	// shared and must not be changed.
	Gather(ctx context.Context) ([]*metric.Family, error)
}

// Func makes a function a Gatherer.
type Func func(ctx context.Context) ([]*metric.Family, error)

// Gather calls f.
func (f Func) Gather(ctx context.Context) ([]*metric.Family, error) { return f(ctx) }
