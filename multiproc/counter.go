package multiproc

import (
	"math"
	"sync/atomic"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Counter is a value that only grows. Inc and Add never block, allocate or panic, except
// that the first update of a process opens the store. Reset takes a lock.
type Counter series

// of returns the series. A Counter is nothing else, so that Inc reaches its word in one
// step.
func (c *Counter) of() *series { return (*series)(c) }

// NewCounter declares a counter in the default Set. It panics if the options are
// invalid.
func NewCounter(opts CounterOpts) *Counter { return must(Default().NewCounter(opts)) }

// NewCounter declares a counter. The error matches ErrConflict or an error of
// package metric.
func (s *Set) NewCounter(opts CounterOpts) (*Counter, error) {
	schema, err := Opts(opts).schema(metric.Counter, 0, nil)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, single[Counter])
}

func (c *Counter) init(in *instrument, values []string) { c.of().init(in, values, c.of()) }

// Inc adds 1.
func (c *Counter) Inc() {
	// Written so that the compiler inlines it. A call costs as much as the add, and far
	// more if the counter is not in the processor's cache.
	if w := atomic.LoadPointer(&c.first); w != nil {
		atomic.AddUint64((*uint64)(w), 1)
		atomic.LoadPointer(&c.first) // keepAlive, which would be too much for the inliner
	} else {
		c.inc()
	}
}

//go:noinline
func (c *Counter) inc() {
	atomic.AddUint64(c.of().bind(), 1)
	c.of().keepAlive()
}

// Add adds v. A negative, infinite or NaN v is dropped and counted as an
// invalid update, and so is one that would make the counter infinite.
func (c *Counter) Add(v float64) { c.add(v) }

// add reports whether v was added.
func (c *Counter) add(v float64) bool {
	if w := (*uint64)(atomic.LoadPointer(&c.first)); w != nil {
		// Whole increments below 2^32 are exact in the integer word.
		if n := int64(v); uint64(n) < 1<<32 && float64(n) == v {
			atomic.AddUint64(w, uint64(n))
			c.of().keepAlive()
			return true
		}
		for p := at(w, mpm.CellCounterFloat); v >= 0; {
			old := atomic.LoadUint64(p)
			sum := math.Float64frombits(old) + v
			if !(sum <= math.MaxFloat64) {
				break
			}
			if atomic.CompareAndSwapUint64(p, old, math.Float64bits(sum)) {
				c.of().keepAlive()
				return true
			}
		}
	}
	return c.addSlowly(v) // the call comes last, see Histogram.Observe
}

//go:noinline
func (c *Counter) addSlowly(v float64) bool {
	if v >= 0 && v <= math.MaxFloat64 && !c.of().bound() {
		c.of().bind()
		return c.add(v)
	}
	c.of().in.set.count(countInvalid)
	return false
}

// Reset sets the counter to 0 and gives it a new created time. Prometheus takes it for a
// restart.
func (c *Counter) Reset() { c.of().restart() }

func (c *Counter) remove() { c.of().remove() }

// CounterVec has one Counter for each set of label values. In the methods that all Vecs
// share, T is Counter.
type CounterVec struct{ metricVec[Counter] }

// NewCounterVec declares a counter with labels in the default Set. It panics if the options are
// invalid.
func NewCounterVec(opts CounterOpts, labels []string) *CounterVec {
	return must(Default().NewCounterVec(opts, labels))
}

// NewCounterVec declares a counter with labels. The error matches ErrConflict or an
// error of package metric.
func (s *Set) NewCounterVec(opts CounterOpts, labels []string) (*CounterVec, error) {
	schema, err := Opts(opts).schema(metric.Counter, 0, labels)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, func(in *instrument) *CounterVec {
		return &CounterVec{metricVec[Counter]{v: newVec[Counter](in)}}
	})
}

// CurryWith returns a view of the Vec in which these labels have fixed values. The error
// matches metric.ErrInvalid.
func (v *CounterVec) CurryWith(labels Labels) (*CounterVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &CounterVec{c}, nil
}

// MustCurryWith is CurryWith, but panics if there is an error.
func (v *CounterVec) MustCurryWith(labels Labels) *CounterVec { return must(v.CurryWith(labels)) }
