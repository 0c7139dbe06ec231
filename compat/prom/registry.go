package prom

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
)

// Registry is client_golang's, whose methods it has. In a directory, Gather and
// Collect give the metrics of this package as all processes have them; collectors
// of others are those of this process. The client_golang registry inside, for code
// that wants that type, has the metrics of this process.
type Registry struct {
	*prometheus.Registry

	mu      sync.Mutex
	active  int                 // how many gatherings are under way
	snap    *snapshot           // the latest of theirs; nil without any
	metrics map[*instrument]int // how often each is registered
}

// NewRegistry returns a registry without collectors.
func NewRegistry() *Registry { return &Registry{Registry: prometheus.NewRegistry()} }

// NewPedanticRegistry returns a registry that checks more. A gauge that has a
// series for each process does not pass: its label pid is not described.
func NewPedanticRegistry() *Registry { return &Registry{Registry: prometheus.NewPedanticRegistry()} }

// Register is client_golang's.
func (r *Registry) Register(c prometheus.Collector) error { return r.register(c, r.Registry) }

// MustRegister registers the collectors, and panics at the first error.
func (r *Registry) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister is client_golang's. The name of a metric that is registered nowhere
// any more is free: one that is made again begins at 0.
func (r *Registry) Unregister(c prometheus.Collector) bool { return r.unregister(c, r.Registry) }

// register registers c with via, which ends in r.
func (r *Registry) register(c prometheus.Collector, via prometheus.Registerer) error {
	instruments, unchecked := instrumentsOf(c)
	as := c
	if len(instruments) > 0 || unchecked {
		as = &proxy{Collector: c, registry: r, known: instruments}
	}
	err := via.Register(as)
	if err == nil {
		r.note(instruments, 1)
		return nil
	}
	if are, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if p, ok := are.ExistingCollector.(*proxy); ok {
			are.ExistingCollector = p.Collector
		}
		if are.NewCollector == as {
			are.NewCollector = c
		}
		if are.ExistingCollector != c {
			for _, in := range instruments {
				in.refused()
			}
		}
		return are
	}
	return err
}

// unregister is register the other way round.
func (r *Registry) unregister(c prometheus.Collector, via prometheus.Registerer) bool {
	if !via.Unregister(c) {
		return false
	}
	instruments, _ := instrumentsOf(c)
	r.note(instruments, -1)
	return true
}

// note notes that the registry has metrics, or has them no more.
func (r *Registry) note(instruments []*instrument, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range instruments {
		in.registered(r, n)
		if r.metrics == nil {
			r.metrics = map[*instrument]int{}
		}
		if r.metrics[in] += n; r.metrics[in] <= 0 {
			delete(r.metrics, in)
		}
	}
}

// instrumentsOf returns whose metrics a collector describes, and whether it
// describes nothing: those are known when it collects only.
func instrumentsOf(c prometheus.Collector) (out []*instrument, unchecked bool) {
	if !inDirectory.Load() {
		return nil, false // client_golang alone
	}
	descs := make(chan *prometheus.Desc)
	done := make(chan struct{})
	unchecked = true
	go func() {
		defer close(done)
		for d := range descs {
			unchecked = false
			if in := instrumentOf(d); in != nil {
				out = append(out, in)
			}
		}
	}()
	defer func() {
		close(descs)
		<-done
	}()
	c.Describe(descs)
	return out, unchecked
}

// inDirectory: the process has made a metric over a store. plainMetrics: it has
// made one of client_golang's, and the log was not told.
var inDirectory, plainMetrics atomic.Bool

// Gather returns what client_golang's does. The error is also one of reading the
// directory.
func (r *Registry) Gather() ([]*dto.MetricFamily, error) {
	switch {
	case r == nil:
		return (*prometheus.Registry)(nil).Gather()
	case r == defaultRegistry && Default().set.Dir() != "":
		return r.gatherAll()
	case !inDirectory.Load():
		return r.Registry.Gather()
	}
	r.begin(r.snapshot())
	defer r.end()
	return r.Registry.Gather()
}

// MustGather is Gather, and panics on an error.
func (r *Registry) MustGather() []*dto.MetricFamily {
	families, err := r.Gather()
	if err != nil {
		panic(err)
	}
	return families
}

// Collect sends what Gather has: a registry is a collector too.
func (r *Registry) Collect(ch chan<- prometheus.Metric) {
	if !inDirectory.Load() {
		r.Registry.Collect(ch)
		return
	}
	r.begin(r.snapshot())
	defer r.end()
	r.Registry.Collect(ch)
}

// snapshot returns a new one, of the metrics that the registry has.
func (r *Registry) snapshot() *snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &snapshot{number: snapshots.Add(1), asked: maps.Clone(r.metrics)}
}

// snapshots numbers them.
var snapshots atomic.Uint64

// begin has the proxies use a snapshot, or a later one, until end.
func (r *Registry) begin(s *snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active++
	if r.snap == nil || r.snap.number < s.number {
		r.snap = s
	}
}

func (r *Registry) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active--; r.active == 0 {
		r.snap = nil
	}
}

// now returns the snapshot of the gathering that is under way, or nil.
func (r *Registry) now() *snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snap
}

// gatherAll is Gather of the default registry in a directory: what is registered
// with it, and beside it what else the merged view has, such as the process metrics
// of each worker and the families of programs that share the directory.
func (r *Registry) gatherAll() ([]*dto.MetricFamily, error) {
	f := Default()
	f.tellEarly()
	m := f.made
	m.reconcile(nil)
	families, err := registry.Default().Gather(context.Background())
	all := &storeSnapshot{}
	all.once.Do(func() { all.take(families, err) })
	var written sync.Map
	r.begin(&snapshot{number: snapshots.Add(1), all: map[*made]*storeSnapshot{m: all}, written: &written})
	registered, registeredErr := r.Registry.Gather()
	r.end()
	private := m.private()
	families = slices.DeleteFunc(families, func(f *metric.Family) bool { return private[f.Name] })
	merged, mergedErr := convert.MetricFamilies(families)
	return join(registered, merged, m.renamed(), &written), errors.Join(err, registeredErr, mergedErr)
}

// join adds to the families that are registered those of the merged view. What another
// collector has of this process is left out if the directory has it, published by each
// process. Of client_golang's Go and process collectors nothing is kept: they say what the
// one process that answers is, and the view has the process metrics of each.
func join(registered, view []*dto.MetricFamily, renamed map[string]bool, written *sync.Map) []*dto.MetricFamily {
	out := slices.DeleteFunc(registered, func(f *dto.MetricFamily) bool {
		return strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_")
	})
	byName := map[string]*dto.MetricFamily{}
	for _, f := range out {
		byName[f.GetName()] = f
	}
	for _, f := range view {
		have := byName[f.GetName()]
		switch {
		case have == nil && renamed[f.GetName()]: // it is there under the name that it was made with
		case have == nil:
			out = append(out, f)
		case have.GetType() == f.GetType():
			have.Metric = joinSeries(have.Metric, f.Metric, written)
		}
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return out
}

// joinSeries returns, of series with equal labels, the one that was written from the
// store, or that of the view, or what another collector has of this process.
func joinSeries(registered, view []*dto.Metric, written *sync.Map) (out []*dto.Metric) {
	have := map[string]bool{}
	for _, m := range registered {
		if _, merged := written.Load(m); merged {
			have[labelKey(m.Label)] = true
			out = append(out, m)
		}
	}
	for _, m := range view {
		if !have[labelKey(m.Label)] {
			normalize(m)
			out = append(out, m)
		}
	}
	for _, m := range view {
		have[labelKey(m.Label)] = true
		have[labelKey(withoutProcess(m.Label))] = true
	}
	for _, m := range registered {
		if !have[labelKey(m.Label)] {
			out = append(out, m)
		}
	}
	return out
}

// withoutProcess leaves out the label that a gauge of each process has.
func withoutProcess(labels []*dto.LabelPair) []*dto.LabelPair {
	return slices.DeleteFunc(slices.Clone(labels), func(l *dto.LabelPair) bool { return isProcessLabel(l.GetName()) })
}
