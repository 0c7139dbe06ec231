package prom

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// DefaultRegisterer is client_golang's: what is registered there is in the view
// of this process. A program may set it.
var DefaultRegisterer = prometheus.DefaultRegisterer

// DefaultGatherer is, with PROMETHEUS_MULTIPROC_DIR set, the merged view of all
// processes, that of registry.Default; it has what was made here, not what was
// registered. Without, it is client_golang's. A program may set it.
var DefaultGatherer prometheus.Gatherer = defaultGatherer{}

type defaultGatherer struct{}

func (defaultGatherer) Gather() ([]*dto.MetricFamily, error) {
	if multiproc.Default().Dir() == "" {
		return prometheus.DefaultGatherer.Gather()
	}
	Default().Reconcile()
	return mergedView().Gather()
}

var mergedView = sync.OnceValue(func() prometheus.Gatherer { return convert.ToPrometheus(registry.Default()) })

// Register registers c with DefaultRegisterer.
func Register(c Collector) error { return DefaultRegisterer.Register(c) }

// MustRegister registers the collectors with DefaultRegisterer, and panics at
// the first error.
func MustRegister(cs ...Collector) { DefaultRegisterer.MustRegister(cs...) }

// Unregister takes c out of DefaultRegisterer. The merged view keeps it.
func Unregister(c Collector) bool { return DefaultRegisterer.Unregister(c) }
