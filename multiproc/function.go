package multiproc

import (
	"fmt"
	"sync"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// function is an instrument whose value a function returns.
type function interface{ evaluate() }

// addFunction adds a function to those that are evaluated. The Set's lock is held.
func (s *Set) addFunction(f function) {
	s.functions = append(s.functions, f)
	if s.Opened() {
		s.startPublisher()
	}
}

// CounterFunc is a counter whose value a function returns.
type CounterFunc struct {
	counter Counter
	f       func() float64

	mu   sync.Mutex
	last float64 // the function's last value
}

// NewCounterFunc declares a counter function in the default Set. It panics if the options are
// invalid.
func NewCounterFunc(opts CounterOpts, f func() float64) *CounterFunc {
	return must(Default().NewCounterFunc(opts, f))
}

// NewCounterFunc declares a counter whose value f returns; see NewGaugeFunc. If a value is
// lower than the one before, f has begun again at 0, and the counter grows by the value.
// A negative or infinite value or NaN is dropped and counted as an invalid update.
func (s *Set) NewCounterFunc(opts CounterOpts, f func() float64) (*CounterFunc, error) {
	schema, err := Opts(opts).schema(metric.Counter, 0, nil)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, fmt.Errorf("multiproc: define %q: %w: the function is nil", schema.Name, form.ErrSchema)
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, func(in *instrument) *CounterFunc {
		c := &CounterFunc{f: f}
		c.counter.init(in, nil)
		s.addFunction(c)
		return c
	})
}

func (c *CounterFunc) evaluate() {
	defer func() {
		if recover() != nil {
			c.counter.in.set.count(countInvalid)
		}
	}()
	v := c.f()
	c.mu.Lock()
	defer c.mu.Unlock()
	grown := v - c.last
	if grown < 0 {
		grown = v
	}
	if c.counter.add(grown) {
		c.last = v
	}
}

func (c *CounterFunc) removeAll() { c.counter.remove() }

func (c *CounterFunc) resetAll() {}
