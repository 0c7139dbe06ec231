package prom

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/internal/beside"
	"github.com/multiprom/multiprom/metric"
)

// DefaultRegisterer is a *Registry over client_golang's default one. It is a
// Gatherer too, that of DefaultGatherer. A program may set it.
var DefaultRegisterer Registerer = defaultRegistry

// DefaultGatherer is the same *Registry. With PROMETHEUS_MULTIPROC_DIR set, it has
// the merged view of all processes: what is registered with it, the process metrics
// of each worker, and what other programs have in the directory. Without, it is
// client_golang's. A program may set it.
var DefaultGatherer Gatherer = defaultRegistry

var defaultRegistry = newDefaultRegistry()

func newDefaultRegistry() *Registry {
	if r, ok := prometheus.DefaultRegisterer.(*prometheus.Registry); ok {
		return &Registry{Registry: r}
	}
	return NewRegistry() // somebody has set it to something else before
}

// showPlain has registry.Default, which knows no client_golang, show DefaultGatherer
// of a program without a directory.
var showPlain = sync.OnceFunc(func() {
	beside.Add(func(ctx context.Context) ([]*metric.Family, error) {
		g := DefaultGatherer
		if r, ok := g.(*Registry); ok {
			g = r.Registry // in a directory that was set later, r has registry.Default itself
		}
		return convert.FromGatherer(g).Gather(ctx)
	})
})

// Register registers c with DefaultRegisterer.
func Register(c Collector) error { return DefaultRegisterer.Register(c) }

// MustRegister registers the collectors with DefaultRegisterer, and panics at
// the first error.
func MustRegister(cs ...Collector) { DefaultRegisterer.MustRegister(cs...) }

// Unregister takes c out of DefaultRegisterer. See Registry.Unregister.
func Unregister(c Collector) bool { return DefaultRegisterer.Unregister(c) }
