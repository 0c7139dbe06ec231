package prom

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// Options of a Factory. The zero value is useful.
type Options struct {
	// Mode says by the full name how a gauge's values of several processes
	// merge. Default ModeByName. See also Factory.WithMode.
	Mode func(name string) metric.Mode
	// MaxSeries bounds the series of a Vec in the store; further ones share an
	// overflow series. Default multiproc.SetOptions.MaxSeries.
	MaxSeries int
	// Period is how often series that were deleted from a Vec are removed from
	// the store. Default 5 s.
	Period time.Duration
}

// Factory makes client_golang's metrics over the instruments of a Set. All
// methods are safe for concurrent use.
//
// Nothing is registered: as in client_golang, that is another step. The merged
// view has a metric from its declaration on, registered or not. An equal
// definition gives the same object again, since its values are the same.
type Factory struct {
	opts   Options
	prefix string            // of names; see Within
	labels prometheus.Labels // on all metrics
	*made
}

// made is what a Factory and those derived from it share.
type made struct {
	set *multiproc.Set

	mu      sync.Mutex
	objects map[any]object // by the multiproc instrument below
	vecs    []*vec
	ended   chan struct{} // nil until there is a Vec with a series
	closed  bool
}

// object is what the user holds.
type object struct {
	desc   string
	public any
}

// New returns a Factory over set. Make one for a Set, since the Factory knows
// which Vec has which series.
func New(set *multiproc.Set, opts Options) *Factory {
	if opts.Mode == nil {
		opts.Mode = ModeByName
	}
	if opts.Period <= 0 {
		opts.Period = 5 * time.Second
	}
	return &Factory{opts: opts, made: &made{set: set, objects: map[any]object{}}}
}

// Default returns the Factory of the package-level constructors, over
// multiproc.Default: the file in $PROMETHEUS_MULTIPROC_DIR, or the heap.
func Default() *Factory { return defaultFactory() }

var defaultFactory = sync.OnceValue(func() *Factory { return New(multiproc.Default(), Options{}) })

// WithMode returns a Factory whose gauges have that mode; all else it shares
// with f.
func (f *Factory) WithMode(mode metric.Mode) *Factory {
	derived := *f
	derived.opts.Mode = func(string) metric.Mode { return mode }
	return &derived
}

// WithMode returns the default Factory with that mode for gauges:
//
//	var oldest = prom.WithMode(prom.ModeMin).NewGauge(prom.GaugeOpts{…})
func WithMode(mode metric.Mode) *Factory { return Default().WithMode(mode) }

// common translates what every definition has.
func (f *Factory) common(o prometheus.Opts) multiproc.Opts {
	name := fullName(o)
	if o.Help == "" {
		o.Help = name // a store wants a help, client_golang does not
	}
	if !hasUnit(name, o.Unit) {
		o.Unit = "" // it would become part of the name
	}
	return multiproc.Opts{Name: name, Help: o.Help, Unit: o.Unit, ConstLabels: o.ConstLabels, MaxSeries: f.opts.MaxSeries}
}

// once returns the object that stands over these cells, and makes it if there
// is none. It panics if there is one that client_golang calls otherwise: the
// counters x and x_total are one in a store.
func once[T any](m *made, cells any, desc *prometheus.Desc, make func() T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.objects[cells]; ok {
		public, same := old.public.(T)
		if !same || old.desc != desc.String() {
			panic(fmt.Errorf("prom: %w: %s and %s have the same samples", multiproc.ErrConflict, desc, old.desc))
		}
		return public
	}
	public := make()
	m.objects[cells] = object{desc.String(), public}
	ours.Store(desc, nil)
	return public
}

// description returns the one Desc of a collector of client_golang.
func description(c prometheus.Collector) *prometheus.Desc {
	descs := make(chan *prometheus.Desc, 1)
	c.Describe(descs)
	return <-descs
}

// names returns the names of variable labels. There are no other
// implementations: the interface has a private method.
func names(labels prometheus.ConstrainableLabels) []string {
	switch labels := labels.(type) {
	case prometheus.UnconstrainedLabels:
		return labels
	case prometheus.ConstrainedLabels:
		out := make([]string, len(labels))
		for i, l := range labels {
			out[i] = l.Name
		}
		return out
	}
	return nil
}

// panics reports whether f does.
func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
