package multiproc

import (
	"fmt"
	"sync"

	"github.com/multiprom/multiprom/metric"
)

// function is an instrument whose value a function tells.
type function interface{ evaluate() }

// addFunction has a function evaluated from here on. The Set's lock is held.
func (s *Set) addFunction(f function) {
	s.functions = append(s.functions, f)
	if s.Opened() {
		s.startPublisher()
	}
}

// CounterFunc is a counter whose value a function tells.
type CounterFunc struct {
	counter Counter
	f       func() float64

	mu   sync.Mutex
	last float64 // what the function has said last
}

// NewCounterFunc declares a counter function in the default Set, and panics where
// the definition is invalid.
func NewCounterFunc(opts CounterOpts, f func() float64) *CounterFunc {
	return Must(Default().NewCounterFunc(opts, f))
}

// NewCounterFunc declares a counter whose value f tells, as NewGaugeFunc. A value
// that is lower than the one before has begun again at 0: the counter grows by it.
// A value that is negative, infinite or no number is left out and counted as an
// invalid update.
func (s *Set) NewCounterFunc(opts CounterOpts, f func() float64) (*CounterFunc, error) {
	schema, err := Opts(opts).schema(metric.Counter, 0, nil)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, fmt.Errorf("multiproc: define %q: %w: the function is nil", schema.Name, metric.ErrInvalidSchema)
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
