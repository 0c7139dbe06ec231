package registry

import (
	"context"

	"github.com/multiprom/multiprom/metric"
)

// Collector computes metrics at the moment of a scrape. An instrument, in contrast,
// stores what the program told it. A Collector's type must be comparable, and is best a
// pointer, because the registry compares collectors with ==.
type Collector interface {
	// Collect returns the families as they are now. It may return families and an
	// error; both are used. It must be safe for concurrent use. It should return when
	// ctx ends: what it returns later is discarded.
	//
	// The registry hands the families out without a copy. A collector may return the
	// same ones twice, but must not change them.
	Collect(ctx context.Context) ([]*metric.Family, error)
}

// Describer is a Collector that knows in advance which families it yields. Register
// refuses it if one of their sample names is taken; without a description only the
// scrape finds out. A [Restrict] that asks for none of its names does not run it.
type Describer interface {
	Collector
	// Describe returns all families that Collect may ever yield. Only their names and
	// types matter. If it returns none, the collector may yield anything, and a clash
	// shows at the scrape.
	Describe() []*metric.Family
}

// CollectorFunc makes a function a Collector. Each call returns a new one: keep it if
// you want to unregister it.
func CollectorFunc(f func(ctx context.Context) ([]*metric.Family, error)) Collector {
	return &funcCollector{f}
}

type funcCollector struct {
	collect func(ctx context.Context) ([]*metric.Family, error)
}

func (c *funcCollector) Collect(ctx context.Context) ([]*metric.Family, error) {
	return c.collect(ctx)
}
