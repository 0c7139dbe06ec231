// Package beside holds the gatherers that registry.Default also shows in a program
// without a directory. Without a directory, compat/prom makes metrics of another library
// and adds that library's registry here. The detour is needed because package registry
// cannot import that module, and the module must not ask for registry.Default, which is
// created when the program first serves or registers something.
package beside

import (
	"context"
	"slices"
	"sync"

	"github.com/multiprom/multiprom/metric"
)

// Gather returns families, like the method of a gather.Gatherer.
type Gather func(context.Context) ([]*metric.Family, error)

var (
	mu      sync.Mutex
	gathers []Gather
)

// Add adds a source. It stays until the program ends.
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
