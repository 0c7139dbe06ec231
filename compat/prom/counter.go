package prom

import (
	"errors"
	"math"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/multiproc"
)

// counter is a prometheus.Counter over cells of the store. Inc is that of
// multiproc, embedded: the compiler writes it out in its place.
type counter struct {
	*multiproc.Counter
	base
	exemplar atomic.Pointer[dto.Exemplar] // for Write; that of the store is beside the cells
	beyond   atomic.Uint64                // bits of what was added and is no finite number
}

// boundCounter is a counter whose file was open when it was made, as those of a Vec
// are in a worker: its Inc has no call, for which Go makes a stack frame, and a locked
// instruction waits for what is stored there.
type boundCounter struct {
	counter
	bound access.BoundCounter
}

// Inc adds 1.
func (c *boundCounter) Inc() { c.bound.Inc() }

// unlabelledCounter is a boundCounter that is not of a Vec.
type unlabelledCounter struct {
	counter
	bound access.UnlabelledCounter
}

// Inc adds 1.
func (c *unlabelledCounter) Inc() { c.bound.Inc() }

var (
	_ prometheus.ExemplarAdder = (*counter)(nil)
	_ prometheus.ExemplarAdder = (*boundCounter)(nil)
	_ prometheus.ExemplarAdder = (*unlabelledCounter)(nil)
)

// Add adds v, and panics where it is negative, as client_golang does. The store
// does not hold +Inf and NaN: with these, the counter is infinite or no number in
// the registries of this process only.
func (c *counter) Add(v float64) {
	switch {
	case v < 0:
		panic(errors.New("counter cannot decrease in value"))
	case v <= math.MaxFloat64:
		c.Counter.Add(v)
	default:
		for {
			old := c.beyond.Load()
			if c.beyond.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
				return
			}
		}
	}
}

// amend adds what the store does not hold.
func (c *counter) amend(merged *dto.Metric) {
	if beyond := c.beyond.Load(); beyond != 0 {
		merged.Counter.Value = new(merged.Counter.GetValue() + math.Float64frombits(beyond))
	}
}

// AddWithExemplar is Add with an exemplar, unless labels is nil. Where they are
// no labels of an exemplar, it adds v and panics.
func (c *counter) AddWithExemplar(v float64, labels prometheus.Labels) {
	if v < 0 || labels == nil {
		c.Add(v)
		return
	}
	x, err := newExemplar(v, labels)
	if err != nil {
		c.Add(v)
		panic(err)
	}
	if v <= math.MaxFloat64 {
		c.Counter.AddWithExemplar(v, labels)
	} else {
		c.Add(v)
	}
	c.exemplar.Store(x)
}

// Write gives what this process has counted.
func (c *counter) Write(out *dto.Metric) error {
	exemplar := c.exemplar.Load() // before the value: no exemplar of what is not counted yet
	out.Label = c.labels
	out.Counter = &dto.Counter{Value: new(c.Value() + math.Float64frombits(c.beyond.Load())), Exemplar: exemplar, CreatedTimestamp: c.created}
	return nil
}

// Collect sends the counter.
func (c *counter) Collect(ch chan<- prometheus.Metric) { ch <- c }

// counterChild is any kind of counter.
type counterChild interface {
	prometheus.Counter
	child
}

func newCounter(in *instrument, cells *multiproc.Counter, values []string) counterChild {
	if bound, ok := access.Unlabelled(cells); ok {
		return &unlabelledCounter{counter: counter{Counter: cells, base: newBase(in, cells, values)}, bound: bound}
	}
	if bound, ok := access.Bound(cells); ok {
		return &boundCounter{counter: counter{Counter: cells, base: newBase(in, cells, values)}, bound: bound}
	}
	return &counter{Counter: cells, base: newBase(in, cells, values)}
}

// NewCounter returns a counter, which is a prometheus.ExemplarAdder too.
func (f *Factory) NewCounter(opts prometheus.CounterOpts) prometheus.Counter {
	if f.plain() {
		return prometheus.NewCounter(opts)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.NewCounter(opts)
	if theirs.Desc().Err() != nil {
		return theirs // which no registry takes
	}
	d := f.define(theirs.Desc(), prometheus.Opts(opts), nil, func(o multiproc.Opts) (any, error) {
		return f.set.NewCounter(multiproc.CounterOpts(o))
	})
	return inStore(f, d, theirs, func(in *instrument) prometheus.Counter {
		return newCounter(in, in.cells.(*multiproc.Counter), nil)
	})
}

// NewCounterVec returns a family of counters.
func (f *Factory) NewCounterVec(opts prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return f.counterVec(prometheus.CounterVecOpts{CounterOpts: opts, VariableLabels: prometheus.UnconstrainedLabels(labelNames)})
}

func (f *Factory) counterVec(opts prometheus.CounterVecOpts) *prometheus.CounterVec {
	if f.plain() {
		return prometheus.V2.NewCounterVec(opts)
	}
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs, labels := prometheus.V2.NewCounterVec(opts), names(opts.VariableLabels)
	desc := description(theirs)
	if desc.Err() != nil {
		return theirs
	}
	d := f.define(desc, prometheus.Opts(opts.CounterOpts), labels, func(o multiproc.Opts) (any, error) {
		return f.set.NewCounterVec(multiproc.CounterOpts(o), labels)
	})
	return inStore(f, d, theirs, func(in *instrument) *prometheus.CounterVec {
		cells := in.cells.(*multiproc.CounterVec)
		return &prometheus.CounterVec{MetricVec: newMetricVec(f, in, cells.DeleteLabelValues, func(values []string) child {
			return newCounter(in, cells.WithLabelValues(values...), values)
		})}
	})
}
