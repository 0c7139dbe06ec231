package registry

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// Options of a Registry. The zero value is useful.
type Options struct {
	// CollectTimeout is how long one collector may take. Default 10 s.
	CollectTimeout time.Duration
	// Concurrency is how many collectors of one scrape run at once. Default
	// 16: collectors wait for files and sockets more than they compute.
	Concurrency int
	// AutoDescribe collects once at Register from a collector that is no
	// Describer, to learn the names that it yields. A failure of that run is
	// one of Register.
	AutoDescribe bool
	// TargetInfo is exposed as target_info; see SetTargetInfo. Default: none.
	TargetInfo metric.Labels
}

// withDefaults checks the options and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	var c options.Checker
	options.Number(&c, "CollectTimeout", &o.CollectTimeout, 10*time.Second)
	options.Number(&c, "Concurrency", &o.Concurrency, 16)
	return o, c.Err()
}

// Registry is a set of collectors whose metrics have different names. It is a Gatherer,
// and safe for concurrent use.
type Registry struct {
	opts Options // constant

	mu      sync.RWMutex
	entries []*entry            // in the order of registration
	names   map[string]claimant // sample names of described families and of target_info
	target  *metric.Family      // or nil
}

// entry is one registered collector.
type entry struct {
	collector Collector
	names     map[string]claimant // what it claims; empty for an unchecked one

	mu    sync.Mutex
	stuck int // abandoned runs that have not returned
}

// New returns an empty registry. It panics if the options are invalid: they are
// constants of a program.
func New(opts Options) *Registry {
	opts, err := opts.withDefaults()
	if err != nil {
		panic(fmt.Errorf("registry: %w", err))
	}
	r := &Registry{opts: opts, names: make(map[string]claimant)}
	if err := r.SetTargetInfo(opts.TargetInfo); err != nil {
		panic(fmt.Errorf("registry: TargetInfo: %w", err))
	}
	return r
}

// Register adds c to the registry. It returns an error that matches
// ErrAlreadyRegistered, metric.ErrInvalid (of c, or of what it describes) or ErrDuplicate, or
// a *CollectError with Options.AutoDescribe.
func (r *Registry) Register(c Collector) error {
	if c == nil {
		return fmt.Errorf("%w: it is nil", errInvalidCollector)
	}
	if !reflect.ValueOf(c).Comparable() {
		return fmt.Errorf("%w: values of type %T cannot be compared, use a pointer", errInvalidCollector, c)
	}
	e := &entry{collector: c}
	if r.registered(c) { // before AutoDescribe runs it again
		return fmt.Errorf("%w: %s", ErrAlreadyRegistered, collectorName(c))
	}
	described, err := r.describe(e)
	if err != nil {
		return err
	}
	if e.names, err = claims(c, described); err != nil {
		return err
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.indexLocked(c) >= 0 {
		return fmt.Errorf("%w: %s", ErrAlreadyRegistered, collectorName(c))
	}
	if err := r.claimLocked(e.names); err != nil {
		return err
	}
	r.entries = append(r.entries, e)
	return nil
}

// MustRegister registers all collectors and panics at the first error.
func (r *Registry) MustRegister(cs ...Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister removes c, so that its names are free again, and reports whether
// it was there. A scrape that has begun may still run it.
func (r *Registry) Unregister(c Collector) bool {
	if c == nil || !reflect.ValueOf(c).Comparable() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.indexLocked(c)
	if i < 0 {
		return false
	}
	for name := range r.entries[i].names {
		delete(r.names, name)
	}
	r.entries = slices.Delete(r.entries, i, i+1)
	return true
}

// SetTargetInfo exposes the labels as the info target_info, which describes the process
// as a whole (OpenMetrics 1.0, "Supporting target metadata"). It replaces earlier labels;
// without labels target_info goes. The error matches metric.ErrInvalid or, if a collector
// has the name already, ErrDuplicate.
func (r *Registry) SetTargetInfo(labels metric.Labels) error {
	var target *metric.Family
	var names map[string]claimant
	if len(labels) > 0 {
		f, err := checked(&metric.Family{
			Name: "target", Help: "Target metadata", Type: metric.Info,
			Series: []metric.Series{{Labels: slices.Clone(labels), Value: 1}},
		})
		if err != nil {
			return err
		}
		target = f
		if names, err = claims(nil, []*metric.Family{f}); err != nil {
			return err
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.target == nil {
		if err := r.claimLocked(names); err != nil {
			return err
		}
	} else if target == nil {
		for _, name := range openmetrics.SampleNames(r.target.Name, r.target.Type) {
			delete(r.names, name)
		}
	}
	r.target = target
	return nil
}

// describe returns the families that e's collector will yield, or none for an
// unchecked one.
func (r *Registry) describe(e *entry) ([]*metric.Family, error) {
	if d, ok := e.collector.(Describer); ok {
		return d.Describe(), nil
	}
	if !r.opts.AutoDescribe {
		return nil, nil
	}
	families, err := e.run(context.Background(), r.opts.CollectTimeout)
	if err != nil {
		return nil, &CollectError{e.collector, err}
	}
	return families, nil
}

// claims returns the sample names of the families that c has described.
func claims(c Collector, described []*metric.Family) (map[string]claimant, error) {
	names := make(map[string]claimant)
	for _, f := range described {
		if err := checkFamily(f); err != nil {
			return nil, &CollectError{c, err}
		}
		if err := claim(names, claimant{c, f.Name, f.Type}); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// claim adds owner's sample names to names, or adds none and returns an error if one is
// taken.
func claim(names map[string]claimant, owner claimant) error {
	all := openmetrics.SampleNames(owner.Family, owner.Type)
	for _, name := range all {
		if old, ok := names[name]; ok {
			return &duplicateError{SampleName: name, New: owner, Old: old}
		}
	}
	for _, name := range all {
		names[name] = owner
	}
	return nil
}

func (r *Registry) claimLocked(names map[string]claimant) error {
	// The smallest clashing name, so that the error does not depend on the
	// order of a map.
	var dup *duplicateError
	for name, owner := range names {
		if old, ok := r.names[name]; ok && (dup == nil || name < dup.SampleName) {
			dup = &duplicateError{SampleName: name, New: owner, Old: old}
		}
	}
	if dup != nil {
		return dup
	}
	for name, owner := range names {
		r.names[name] = owner
	}
	return nil
}

func (r *Registry) registered(c Collector) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.indexLocked(c) >= 0
}

func (r *Registry) indexLocked(c Collector) int {
	return slices.IndexFunc(r.entries, func(e *entry) bool { return e.collector == c })
}
