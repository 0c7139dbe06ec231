package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/beside"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/procs"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry/collectors"
)

// DefaultRegistry is what Default returns: the instruments of the default Set and a
// Registry of collectors. Instruments are not registered: they appear because they
// write to the store.
type DefaultRegistry struct {
	*Registry

	// The collectors that are on by default. Turn one off with
	// Unregister(r.GoRuntime).
	Process, GoRuntime, BuildInfo Collector

	view *viewBySet
}

var _ = func() (none struct{}) {
	views.Provide(func(r *DefaultRegistry) views.Viewer { return r.view })
	return none
}()

// Default returns the registry of this program.
//
// If PROMETHEUS_MULTIPROC_DIR is set, it yields the merged directory and the process
// metrics of every live worker. Go runtime metrics of the one process that happens to
// answer would say nothing about the fleet, so they are omitted; a worker that calls
// publish.Start exposes its own.
//
// Without the variable it yields the instruments, process metrics and Go runtime
// metrics of this process, and client_golang's default registry if the program makes
// metrics with compat/prom.
//
// Each scrape decides again which of the two it is (multiproc.Set.Dir): a program may
// set the variable after it has made a handler, as supervisor.New does.
//
// The registry is made at the first call, and does no I/O before the first Gather.
var Default = sync.OnceValue(func() *DefaultRegistry {
	return newDefault(multiproc.Default())
})

func newDefault(set *multiproc.Set) *DefaultRegistry {
	r := &DefaultRegistry{Registry: New(Options{AutoDescribe: true})}
	r.BuildInfo = collectors.NewBuildInfo()
	r.MustRegister(r.BuildInfo)
	d := &directory{set: set, heap: instruments(set, aggregate.Options{NoSelfMetrics: true})}
	none := CollectorFunc(func(context.Context) ([]*metric.Family, error) { return nil, nil })
	r.Process = &bySet{set, procs.NewWorkers(procs.WorkersOptions{List: d.workers}), collectors.NewProcess(collectors.ProcessOptions{})}
	r.GoRuntime = &bySet{set, none, collectors.NewGoRuntime()}
	r.MustRegister(r.Process, r.GoRuntime)
	r.view = &viewBySet{set, withRest(d, r.Registry), merged{Instruments(set), r.Registry, neighbours{}}}
	return r
}

// neighbours are the registries of other libraries that the program uses without a
// directory, such as client_golang's (internal/beside). A metric that this registry has
// too, such as a process metric, is taken from this one, and no error says so.
type neighbours struct{}

// Gather implements Gatherer.
func (neighbours) Gather(ctx context.Context) (out []*metric.Family, err error) {
	for _, ask := range beside.All() {
		families, gatherErr := ask(ctx)
		out, err = append(out, families...), errors.Join(err, gatherErr)
	}
	return out, err
}

// bySet is one of two collectors: with or without a directory.
type bySet struct {
	set   *multiproc.Set
	with  Collector
	alone Describer // of the names of both
}

func (c *bySet) Collect(ctx context.Context) ([]*metric.Family, error) {
	if c.set.Dir() != "" {
		return c.with.Collect(ctx)
	}
	return c.alone.Collect(ctx)
}

func (c *bySet) Describe() []*metric.Family { return c.alone.Describe() }

// viewBySet is one of two gatherers: with or without a directory.
type viewBySet struct {
	set         *multiproc.Set
	with, alone gather.Gatherer
}

func (v *viewBySet) now() gather.Gatherer {
	if v.set.Dir() != "" {
		return v.with
	}
	return v.alone
}

func (v *viewBySet) Gather(ctx context.Context) ([]*metric.Family, error) { return v.now().Gather(ctx) }

func (v *viewBySet) View(ctx context.Context, fn func([]views.Family, error)) {
	views.Show(ctx, v.now(), fn)
}

func (v *viewBySet) gatherNamed(ctx context.Context, asked asking) ([]*metric.Family, error) {
	return gatherNamed(ctx, v.now(), asked)
}

// Gather returns the families of the instruments and of all collectors.
func (r *DefaultRegistry) Gather(ctx context.Context) ([]*metric.Family, error) {
	return r.view.Gather(ctx)
}

func (r *DefaultRegistry) gatherNamed(ctx context.Context, asked asking) ([]*metric.Family, error) {
	return gatherNamed(ctx, r.view, asked)
}

// Instruments returns a view of one Set alone: for a batch job that pushes
// its own metrics only, and for tests.
func Instruments(set *multiproc.Set) gather.Gatherer { return instruments(set, aggregate.Options{}) }

func instruments(set *multiproc.Set, opts aggregate.Options) gather.Gatherer {
	return &ofSet{set: set, opts: opts}
}

// ofSet is the view of a Set's store, which may become another one.
type ofSet struct {
	set  *multiproc.Set
	opts aggregate.Options

	mu   sync.Mutex
	view *aggregate.Aggregator
	of   *mpm.Store
}

func (o *ofSet) now() *aggregate.Aggregator {
	store := access.Store(o.set)
	o.set.Publish()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of != store {
		o.view, o.of = access.FromStore(store, o.opts).(*aggregate.Aggregator), store
	}
	return o.view
}

func (o *ofSet) Gather(ctx context.Context) ([]*metric.Family, error) { return o.now().Gather(ctx) }

func (o *ofSet) View(ctx context.Context, fn func([]views.Family, error)) {
	views.Show(ctx, o.now(), fn)
}

// Directory returns the merged view of a directory and the process metrics of its live
// workers. It is what `mpctl serve` and a supervisor serve.
func Directory(a *aggregate.Aggregator) gather.Gatherer {
	r := New(Options{})
	r.MustRegister(procs.NewWorkers(procs.WorkersOptions{
		List: func() []procs.Worker { return workers(a) },
	}))
	return withRest(a, r)
}

// withRest merges a directory with other collectors. If the directory cannot be read, it
// yields the error alone: a scrape of the rest would look as if every instrument had
// vanished.
func withRest(view, rest gather.Gatherer) gather.Gatherer {
	return whole{Merge(essential{view}, rest)}
}

type whole struct{ gather.Gatherer }

// viewError marks the error of a directory that cannot be read.
type viewError struct{ error }

func (e *viewError) Unwrap() error { return e.error }

func (w whole) Gather(ctx context.Context) ([]*metric.Family, error) {
	return w.gatherNamed(ctx, nil)
}

func (w whole) gatherNamed(ctx context.Context, asked asking) ([]*metric.Family, error) {
	families, err := gatherNamed(ctx, w.Gatherer, asked)
	if _, ok := errors.AsType[*viewError](err); ok {
		return nil, err
	}
	return families, err
}

// directory opens the aggregator at the first scrape: a program that is never
// scraped reads no directory. It follows the Set to another one.
type directory struct {
	set  *multiproc.Set
	heap gather.Gatherer // the set alone, for a process that could make no file

	mu   sync.Mutex
	view *openView // the last one; nil before the first scrape
}

// openView is the view of a directory, which is closed once the Set has another one and
// no scrape uses it any more. directory.mu guards it.
type openView struct {
	*aggregate.Aggregator
	dir   string
	users int
}

// use calls fn with the view of the directory that the Set has now. The view stays open
// until fn returns.
func (d *directory) use(fn func(*aggregate.Aggregator, error)) {
	v, err := d.acquire()
	if err != nil {
		fn(nil, err)
		return
	}
	defer d.release(v)
	fn(v.Aggregator, nil)
}

func (d *directory) acquire() (*openView, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dir := d.set.Dir(); d.view == nil || d.view.dir != dir {
		a, err := aggregate.Open(dir, aggregate.Options{Logger: slog.Default()})
		if err != nil {
			return nil, fmt.Errorf("registry: %w", err)
		}
		if d.view != nil && d.view.users == 0 {
			d.view.Close()
		}
		d.view = &openView{Aggregator: a, dir: dir}
	}
	d.view.users++
	return d.view, nil
}

func (d *directory) release(v *openView) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.users--; v.users == 0 && v != d.view {
		v.Close()
	}
}

// Gather returns the merged directory. A process that has no file in it, because
// it could make none or somebody deleted it, adds its own values, which nobody
// else sees, and says so.
func (d *directory) Gather(ctx context.Context) (families []*metric.Family, err error) {
	d.now(func(g gather.Gatherer, openErr error) {
		if err = openErr; err == nil {
			families, err = g.Gather(ctx)
		}
	})
	return families, err
}

func (d *directory) View(ctx context.Context, fn func([]views.Family, error)) {
	d.now(func(g gather.Gatherer, err error) {
		if err != nil {
			fn(nil, err)
			return
		}
		views.Show(ctx, g, fn)
	})
}

// now calls fn with what this process sees at the moment.
func (d *directory) now(fn func(gather.Gatherer, error)) {
	if d.set.Opened() {
		d.set.Publish() // this process is being read: its functions are asked now
	}
	d.use(func(a *aggregate.Aggregator, err error) {
		if err != nil || d.set.Fallback() == nil {
			fn(a, err)
			return
		}
		fn(Merge(a, d.heap, fallback), nil)
	})
}

// fallback tells that the process that answers has no file.
var fallback = gather.Func(func(context.Context) ([]*metric.Family, error) {
	return []*metric.Family{{
		Name: "multiprom_store_fallback", Type: metric.Gauge, Series: []metric.Series{{Value: 1}},
		Help: "1 where the process that answers has no file in the directory: its metrics are in no other process's view.",
	}}, nil
})

func (d *directory) workers() (out []procs.Worker) {
	d.use(func(a *aggregate.Aggregator, err error) {
		if err == nil { // Gather reports it
			out = workers(a)
		}
	})
	return out
}

// workers lists the live processes of a directory for their process metrics. One of
// client_python says no more than its pid: it is listed if it has one of its files open.
func workers(a *aggregate.Aggregator) []procs.Worker {
	var out []procs.Worker
	boot := mpm.CurrentIdentity().BootID
	processes, err := a.Processes()
	if err != nil {
		return nil // Gather reports it
	}
	for _, p := range processes {
		switch {
		case p.State != aggregate.Live:
		case p.Kind != aggregate.Native:
			var files []string
			for _, f := range p.Files {
				files = append(files, filepath.Join(a.Dir(), f))
			}
			if w, found := procs.FindWorker(p.PID, p.Label, files...); found {
				out = append(out, w)
			}
		case p.BootID == boot:
			out = append(out, procs.Worker{PID: p.PID, StartTime: p.StartTime, PIDNamespace: p.PIDNamespace, Label: p.Label})
		}
	}
	return out
}
