// Package beside has what registry.Default shows beside its own in a program that
// has no directory. A module that makes metrics of another library without one, as
// compat/prom does, adds that library's registry here: registry cannot import the
// module, and the module cannot ask for registry.Default, which is made when the
// program first serves or registers something.
package beside

import (
	"context"
	"slices"
	"sync"

	"github.com/multiprom/multiprom/metric"
)

// Gather yields families as a registry.Gatherer does.
type Gather func(context.Context) ([]*metric.Family, error)

var (
	mu      sync.Mutex
	gathers []Gather
)

// Add adds a source for as long as the program runs.
func Add(g Gather) {
	mu.Lock()
	defer mu.Unlock()
	gathers = append(gathers, g)
}

// Any reports whether the program has made metrics of another library since it had no
// directory. In one that it is given later they are not.
func Any() bool {
	mu.Lock()
	defer mu.Unlock()
	return len(gathers) > 0
}

// All returns the sources.
func All() []Gather {
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(gathers)
}
