package registry

import (
	"context"

	"github.com/multiprom/multiprom/metric"
)

// Collector computes metrics at the moment of a scrape, as opposed to an
// instrument, which stores what the program told it. Its type must be
// comparable, best a pointer: the registry finds it again by ==.
type Collector interface {
	// Collect returns the families as they are now. Families beside an error
	// are used. It must be safe for concurrent use, and should return when
	// ctx ends: what it returns later is thrown away.
	//
	// The registry does not change what it gets, and hands it out: a
	// collector may return the same families twice, but not change them.
	Collect(ctx context.Context) ([]*metric.Family, error)
}

// Describer is a Collector that knows beforehand which families it yields.
// Register refuses it when one of their sample names is taken, instead of
// every scrape finding out, and a [Restrict] that asks for none of these names
// does not run it.
type Describer interface {
	Collector
	// Describe returns all families that Collect may ever yield, without
	// series: only their names and types are looked at. If it returns none,
	// the collector is unchecked: it may yield anything, and a clash shows at
	// the scrape.
	Describe() []*metric.Family
}

// CollectorFunc makes a function a Collector. Each call gives another one;
// keep it if you want to unregister it.
func CollectorFunc(f func(ctx context.Context) ([]*metric.Family, error)) Collector {
	return &funcCollector{f}
}

type funcCollector struct {
	collect func(ctx context.Context) ([]*metric.Family, error)
}

func (c *funcCollector) Collect(ctx context.Context) ([]*metric.Family, error) {
	return c.collect(ctx)
}
