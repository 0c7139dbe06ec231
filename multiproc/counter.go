package multiproc

import (
	"math"
	"runtime"
	"sync/atomic"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// Counter is a value that only grows. Its methods never block, allocate or
// panic, but for the first update of a process, which opens the store.
type Counter struct{ s series[[2]uint64] }

// NewCounter declares a counter in the default Set, and panics where the
// definition is invalid.
func NewCounter(opts CounterOpts) *Counter { return Must(Default().NewCounter(opts)) }

// NewCounter declares a counter. The error matches ErrConflict or an error of
// package metric.
func (s *Set) NewCounter(opts CounterOpts) (*Counter, error) {
	schema, err := Opts(opts).schema(metric.Counter, 0, nil)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, 0, func(in *instrument) *Counter {
		c := &Counter{}
		c.s.init(in, nil, pair)
		return c
	})
}

// Inc adds 1.
func (c *Counter) Inc() {
	atomic.AddUint64(&c.s.load()[mmapstore.CellCounterInts], 1)
	runtime.KeepAlive(c)
}

// Add adds v. A negative, infinite or NaN v is dropped and counted as an
// invalid update.
func (c *Counter) Add(v float64) {
	// Whole increments below 2^32 are exact in the integer word.
	if n := uint64(v); v >= 0 && v < 1<<32 && float64(n) == v {
		atomic.AddUint64(&c.s.load()[mmapstore.CellCounterInts], n)
		runtime.KeepAlive(c)
		return
	}
	if !(v >= 0) || math.IsInf(v, 0) {
		c.s.in.set.count(countInvalid)
		return
	}
	addFloat(&c.s.load()[mmapstore.CellCounterFloat], v)
	runtime.KeepAlive(c)
}

// Reset sets the counter to 0 with a new created time. Scrapes read it as a
// restart.
func (c *Counter) Reset() { c.s.restart() }

func (c *Counter) remove() { c.s.remove() }

// addFloat adds v to the double in the word at p.
func addFloat(p *uint64, v float64) {
	for {
		old := atomic.LoadUint64(p)
		if atomic.CompareAndSwapUint64(p, old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// CounterVec is a family of counters, one per set of label values.
type CounterVec struct{ metricVec[Counter, *Counter] }

// NewCounterVec declares a counter with labels in the default Set, and panics where
// the definition is invalid.
func NewCounterVec(opts CounterOpts, labels []string) *CounterVec {
	return Must(Default().NewCounterVec(opts, labels))
}

// NewCounterVec declares a counter with labels. The error matches ErrConflict or an
// error of package metric.
func (s *Set) NewCounterVec(opts CounterOpts, labels []string) (*CounterVec, error) {
	schema, err := Opts(opts).schema(metric.Counter, 0, labels)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, func(in *instrument) *CounterVec {
		discard := &Counter{}
		discard.s.discard(in, pair)
		return &CounterVec{metricVec[Counter, *Counter]{v: newVec(in, discard, func(values []string) *Counter {
			c := &Counter{}
			c.s.init(in, values, pair)
			return c
		})}}
	})
}

// CurryWith returns a view with these labels fixed. The error matches
// ErrLabels.
func (v *CounterVec) CurryWith(labels Labels) (*CounterVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &CounterVec{c}, nil
}

// MustCurryWith is CurryWith, and panics on an error.
func (v *CounterVec) MustCurryWith(labels Labels) *CounterVec { return Must(v.CurryWith(labels)) }
