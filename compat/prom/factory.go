package prom

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/compat/internal/losses"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// Options of a Factory. The zero value is useful.
type Options struct {
	// Mode says by the full name how a gauge's values of several processes
	// merge. Default ModeByName. See also Factory.WithMode.
	Mode func(name string) metric.Mode
	// MaxSeries bounds the series of a Vec in the store; further ones share an
	// overflow series. Default multiproc.SetOptions.MaxSeries; metric.NoLimit.
	MaxSeries int
	// TTL says by the full name of a Vec after which time its idle series expire
	// (multiproc.Opts.TTL): 0 for the default, metric.NoLimit for never. Default
	// multiproc.SetOptions.TTL, which MULTIPROM_TTL is for the default Set: 15m, or a list
	// such as http_requests_total=1h,jobs=15m. See also Factory.WithTTL.
	TTL func(name string) time.Duration
	// Period is how often series that were deleted from a Vec are removed from
	// the store. Default 5 s.
	Period time.Duration
}

// Factory makes client_golang's metrics over the instruments of a Set. All
// methods are safe for concurrent use.
//
// Each call makes a metric of its own, as in client_golang, unless the Factory is
// [Factory.Shared]. The package comment says what becomes of two of one name.
type Factory struct {
	opts   Options
	auto   bool              // of multiproc.Default: client_golang's own metrics without a directory
	share  bool              // an equal definition is the same metric
	prefix string            // of names; see Within
	labels prometheus.Labels // on all metrics
	*made
}

// made is what a Factory and those derived from it share.
type made struct {
	set *multiproc.Set
	merged

	mu     sync.Mutex
	places map[string][]*place // by what would be one metric; see place
	shared map[string]any      // metrics of shared Factories, by definition
	vecs   []weak.Pointer[vec]
	timer  *time.Timer // reconciles; nil until there is a Vec with a series
	closed bool
}

// New returns a Factory over set. Make one for a Set, since the Factory knows
// which Vec has which series. Its metrics are over the Set's store also if that is
// on the heap. It panics if the options are invalid: they are constants of a program.
func New(set *multiproc.Set, opts Options) *Factory {
	if opts.Mode == nil {
		opts.Mode = ModeByName
	}
	var c options.Checker
	options.Number(&c, "MaxSeries", &opts.MaxSeries, 0, options.NoLimit)
	options.Number(&c, "Period", &opts.Period, 5*time.Second)
	if err := c.Err(); err != nil {
		panic(fmt.Errorf("prom: %w", err))
	}
	return &Factory{opts: opts, made: &made{set: set, places: map[string][]*place{}, shared: map[string]any{}}}
}

// Default returns the Factory of the package-level constructors. With
// PROMETHEUS_MULTIPROC_DIR set, its metrics are over multiproc.Default, the
// process's file in that directory. Without, they are client_golang's own.
func Default() *Factory { return defaultFactory() }

var defaultFactory = sync.OnceValue(func() *Factory {
	f := New(multiproc.Default(), Options{})
	f.auto = true
	return f
})

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

// WithTTL returns a Factory whose Vecs' idle series expire after that time, a valid
// multiproc.Opts.TTL; all else it shares with f.
func (f *Factory) WithTTL(ttl time.Duration) *Factory {
	derived := *f
	derived.opts.TTL = func(string) time.Duration { return ttl }
	return &derived
}

// WithTTL returns the default Factory with that TTL for Vecs:
//
//	var byTenant = prom.WithTTL(time.Hour).NewCounterVec(prom.CounterOpts{…}, []string{"tenant"})
func WithTTL(ttl time.Duration) *Factory { return Default().WithTTL(ttl) }

// Shared returns a Factory that gives an equal definition, made by it or by
// another shared Factory of the same Set, the metric that it has made before. A
// function of a metric is not compared: the first one stays.
func (f *Factory) Shared() *Factory {
	derived := *f
	derived.share = true
	return &derived
}

// Shared is Factory.Shared of the default Factory.
func Shared() *Factory { return Default().Shared() }

// plain reports whether the constructors return client_golang's own metrics:
// there is no directory. The environment counts at the time when a metric is made.
func (f *Factory) plain() bool {
	if !f.auto || f.set.Dir() != "" {
		return false
	}
	plainMetrics.Store(true)
	showPlain()
	return true
}

// common translates what every definition has.
func (f *Factory) common(o prometheus.Opts) multiproc.Opts {
	name := fullName(o)
	if o.Help == "" {
		o.Help = name // a store wants a help, client_golang does not
	}
	if !hasUnit(name, o.Unit) {
		o.Unit = "" // it would become part of the name
	}
	return multiproc.Opts{
		Name: name, Help: cut(o.Help, form.MaxHelpLen), Unit: o.Unit, ConstLabels: o.ConstLabels,
		MaxSeries: f.opts.MaxSeries, Separate: true,
	}
}

// definition is what a constructor asks the store for.
type definition struct {
	desc   *prometheus.Desc
	name   string            // as the store would have it, without _registry_2
	labels prometheus.Labels // constant ones
	names  []string          // of the variable labels
	bounds []float64         // of a histogram
	// declare makes the instrument under that name.
	declare func(name string) (cells any, err error)
}

// define translates a definition of client_golang's. names are those of the variable
// labels.
func (f *Factory) define(desc *prometheus.Desc, o prometheus.Opts, names []string, declare func(multiproc.Opts) (any, error)) definition {
	common := f.common(o)
	if len(names) > 0 && f.opts.TTL != nil {
		common.TTL = f.opts.TTL(common.Name)
	}
	return definition{desc: desc, name: common.Name, labels: o.ConstLabels, names: names, declare: func(name string) (any, error) {
		named := common
		named.Name = name
		if !hasUnit(name, named.Unit) {
			named.Unit = ""
		}
		return declare(named)
	}}
}

// inStore makes a metric over the store: public is what the user gets. Where the
// store cannot hold it, own is: client_golang's metric, of this process only.
func inStore[T any](f *Factory, d definition, own T, public func(in *instrument) T) T {
	sharedKey := ""
	if f.share {
		sharedKey = fmt.Sprintf("%T %v %s", own, d.bounds, d.desc)
	}
	var note error // for the log, which is told without the lock
	which := losses.Renamed
	defer func() {
		if note != nil {
			losses.Add(f.set, which, d.desc.String(), note)
		}
		f.tellEarly()
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, ok := f.shared[sharedKey].(T); ok && f.share {
		return old
	}
	inDirectory.Store(true)
	in, err := f.settle(d)
	if err != nil {
		which, note = losses.Refused, err
		return own
	}
	if in.number > 1 {
		note = fmt.Errorf("there is another one of that name; there, this one is called %s", in.family)
	}
	out := public(in)
	if f.share {
		f.shared[sharedKey] = out
	}
	return out
}

// tellEarly tells the log that the process has made metrics before it knew its
// directory. multiproc.Open says so, too, if the process calls it.
func (f *Factory) tellEarly() {
	if f.auto && plainMetrics.Swap(false) {
		slog.Error("multiprom: metrics were made before " + multiproc.EnvDir + " was set, they are of this process only: set it before the program starts")
	}
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
