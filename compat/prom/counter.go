package prom

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/multiproc"
)

// counter is a prometheus.Counter over cells of the store. Inc is that of
// multiproc, embedded: the compiler writes it out in its place.
type counter struct {
	*multiproc.Counter
	base
	exemplar atomic.Pointer[dto.Exemplar] // for Write; that of the store is beside the cells
}

// boundCounter is a counter whose file was open when it was made, as those of a Vec
// are in a worker: its Inc has no call, for which Go makes a stack frame, and a locked
// instruction waits for what is stored there.
type boundCounter struct {
	counter
	bound multiproc.BoundCounter
}

// Inc adds 1.
func (c *boundCounter) Inc() { c.bound.Inc() }

// unlabelledCounter is a boundCounter that is not of a Vec.
type unlabelledCounter struct {
	counter
	bound multiproc.UnlabelledCounter
}

// Inc adds 1.
func (c *unlabelledCounter) Inc() { c.bound.Inc() }

var (
	_ prometheus.ExemplarAdder = (*counter)(nil)
	_ prometheus.ExemplarAdder = (*boundCounter)(nil)
	_ prometheus.ExemplarAdder = (*unlabelledCounter)(nil)
)

// Add adds v, and panics where it is negative, as client_golang does.
func (c *counter) Add(v float64) {
	if v < 0 {
		panic(errors.New("counter cannot decrease in value"))
	}
	c.Counter.Add(v)
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
	c.Counter.AddWithExemplar(v, labels)
	c.exemplar.Store(x)
}

// Write gives what this process has counted.
func (c *counter) Write(out *dto.Metric) error {
	exemplar := c.exemplar.Load() // before the value: no exemplar of what is not counted yet
	out.Label = c.labels
	out.Counter = &dto.Counter{Value: new(c.Value()), Exemplar: exemplar, CreatedTimestamp: c.created}
	return nil
}

// Collect sends the counter.
func (c *counter) Collect(ch chan<- prometheus.Metric) { ch <- c }

// counterChild is any kind of counter.
type counterChild interface {
	prometheus.Counter
	child
}

func newCounter(desc *prometheus.Desc, cells *multiproc.Counter, values []string) counterChild {
	if bound, ok := cells.Unlabelled(); ok {
		return &unlabelledCounter{counter: counter{Counter: cells, base: newBase(desc, values)}, bound: bound}
	}
	if bound, ok := cells.Bound(); ok {
		return &boundCounter{counter: counter{Counter: cells, base: newBase(desc, values)}, bound: bound}
	}
	return &counter{Counter: cells, base: newBase(desc, values)}
}

// NewCounter returns a counter, which is a prometheus.ExemplarAdder too.
func (f *Factory) NewCounter(opts prometheus.CounterOpts) prometheus.Counter {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.NewCounter(opts)
	desc := theirs.Desc()
	if desc.Err() != nil {
		return theirs // which no registry takes
	}
	cells := multiproc.Must(f.set.NewCounter(multiproc.CounterOpts(f.common(prometheus.Opts(opts)))))
	return once(f.made, cells, desc, func() prometheus.Counter { return newCounter(desc, cells, nil) })
}

// NewCounterVec returns a family of counters.
func (f *Factory) NewCounterVec(opts prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return f.counterVec(prometheus.CounterVecOpts{CounterOpts: opts, VariableLabels: prometheus.UnconstrainedLabels(labelNames)})
}

func (f *Factory) counterVec(opts prometheus.CounterVecOpts) *prometheus.CounterVec {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	theirs := prometheus.V2.NewCounterVec(opts)
	desc := description(theirs)
	if desc.Err() != nil {
		return theirs
	}
	cells := multiproc.Must(f.set.NewCounterVec(multiproc.CounterOpts(f.common(prometheus.Opts(opts.CounterOpts))), names(opts.VariableLabels)))
	return once(f.made, cells, desc, func() *prometheus.CounterVec {
		return &prometheus.CounterVec{MetricVec: newMetricVec(f, desc, cells.DeleteLabelValues, func(values []string) child {
			return newCounter(desc, cells.WithLabelValues(values...), values)
		})}
	})
}

// NewCounterFunc returns client_golang's own: a store holds no functions of
// counters, so the merged view has it not.
func (f *Factory) NewCounterFunc(opts prometheus.CounterOpts, function func() float64) prometheus.CounterFunc {
	f.qualify(&opts.Namespace, &opts.Subsystem, &opts.Name, &opts.ConstLabels)
	return prometheus.NewCounterFunc(opts, function)
}
