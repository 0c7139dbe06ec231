package multiproc

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Gauge is a value that goes up and down. How the values of several processes
// merge is its mode. Its methods neither allocate nor panic; they never block
// either, but that concurrent calls of Set take turns in the mostrecent modes.
type Gauge struct {
	s      series
	recent recent
}

// NewGauge declares a gauge in the default Set, and panics where the
// definition is invalid.
func NewGauge(opts GaugeOpts) *Gauge { return Must(Default().NewGauge(opts)) }

// NewGauge declares a gauge. The error matches ErrConflict or an error of
// package metric.
func (s *Set) NewGauge(opts GaugeOpts) (*Gauge, error) {
	schema, err := opts.schema(nil)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, single[Gauge])
}

func (o GaugeOpts) schema(labels []string) (*metric.Schema, error) {
	common := Opts{o.Namespace, o.Subsystem, o.Name, o.Help, o.Unit, o.ConstLabels, o.MaxSeries, o.Separate}
	return common.schema(metric.Gauge, o.Mode, labels)
}

func (g *Gauge) init(in *instrument, values []string) {
	g.recent.on = in.schema.Timed()
	g.s.init(in, values)
}

// Set sets the gauge to v.
func (g *Gauge) Set(v float64) {
	bits := math.Float64bits(v)
	if v != v {
		bits = math.Float64bits(math.NaN()) // not the bits that say "unset"
	}
	if w := atomic.LoadPointer(&g.s.first); w != nil && !g.recent.on {
		atomic.StoreUint64((*uint64)(w), bits)
		g.s.keepAlive()
	} else {
		g.set(bits) // as the last thing, see Histogram.Observe
	}
}

//go:noinline
func (g *Gauge) set(bits uint64) {
	if g.recent.on {
		g.recent.store(g.s.in.set, g.s.load(), bits)
	} else {
		atomic.StoreUint64(g.s.word(), bits)
	}
	g.s.keepAlive()
}

// Add adds v, which may be negative. In a mostrecent mode a difference means
// nothing: it is dropped and counted as an invalid update.
func (g *Gauge) Add(v float64) {
	if w := (*uint64)(atomic.LoadPointer(&g.s.first)); w != nil && !g.recent.on {
		for {
			old := atomic.LoadUint64(w)
			sum := math.Float64frombits(old) + v
			if sum != sum { // as where it is unset
				break
			}
			if atomic.CompareAndSwapUint64(w, old, math.Float64bits(sum)) {
				g.s.keepAlive()
				return
			}
		}
	}
	g.add(v) // as the last thing, see Histogram.Observe
}

//go:noinline
func (g *Gauge) add(v float64) {
	if g.recent.on {
		g.s.in.set.count(countInvalid)
		return
	}
	p := g.s.word()
	for {
		old := atomic.LoadUint64(p)
		sum := 0.0 // and not v, which may be -0
		if old != mpm.UnsetBits {
			sum = math.Float64frombits(old)
		}
		sum += v
		bits := math.Float64bits(sum)
		if sum != sum {
			bits = math.Float64bits(math.NaN())
		}
		if atomic.CompareAndSwapUint64(p, old, bits) {
			break
		}
	}
	g.s.keepAlive()
}

// Sub subtracts v, as Add of -v.
func (g *Gauge) Sub(v float64) { g.Add(-v) }

// Inc adds 1.
func (g *Gauge) Inc() { g.Add(1) }

// Dec subtracts 1.
func (g *Gauge) Dec() { g.Add(-1) }

// SetToCurrentTime sets the gauge to the seconds since 1970, by the wall clock.
func (g *Gauge) SetToCurrentTime() { g.Set(float64(g.s.in.set.opts.Now().UnixNano()) / 1e9) }

// TrackInProgress adds 1 and returns a function that takes it away again, to be
// called once:
//
//	defer inFlight.TrackInProgress()()
//
// A killed process never takes its own away: declare the gauge with
// ModeLiveSum, in which it leaves with the process. The mostrecent modes know
// no differences.
func (g *Gauge) TrackInProgress() (done func()) {
	g.Inc()
	return g.Dec
}

// Timer returns a timer that sets the gauge to its duration in seconds.
func (g *Gauge) Timer() *Timer { return NewTimer(ObserverFunc(g.Set)) }

func (g *Gauge) remove() { g.s.remove() }

// GaugeFunc is a gauge whose value a function tells.
type GaugeFunc struct {
	gauge Gauge
	f     func() float64
}

// NewGaugeFunc declares a gauge function in the default Set, and panics where
// the definition is invalid.
func NewGaugeFunc(opts GaugeOpts, f func() float64) *GaugeFunc {
	return Must(Default().NewGaugeFunc(opts, f))
}

// NewGaugeFunc declares a gauge whose value f tells. f is called when this
// process serves a scrape, and else at the Set's period; it may be called by
// several goroutines at once. Where it panics, the gauge keeps its value and an
// invalid update is counted. An equal definition given again keeps the first f.
func (s *Set) NewGaugeFunc(opts GaugeOpts, f func() float64) (*GaugeFunc, error) {
	schema, err := opts.schema(nil)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, fmt.Errorf("multiproc: define %q: %w: the function is nil", schema.Name, metric.ErrInvalidSchema)
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, func(in *instrument) *GaugeFunc {
		g := &GaugeFunc{f: f}
		g.gauge.init(in, nil)
		s.addFunction(g)
		return g
	})
}

func (g *GaugeFunc) evaluate() {
	defer func() {
		if recover() != nil {
			g.gauge.s.in.set.count(countInvalid)
		}
	}()
	g.gauge.Set(g.f())
}

// GaugeVec is a family of gauges, one per set of label values. In the
// methods that all Vecs share, T is Gauge.
type GaugeVec struct{ metricVec[Gauge] }

// NewGaugeVec declares a gauge with labels in the default Set, and panics where
// the definition is invalid.
func NewGaugeVec(opts GaugeOpts, labels []string) *GaugeVec {
	return Must(Default().NewGaugeVec(opts, labels))
}

// NewGaugeVec declares a gauge with labels. The error matches ErrConflict or an
// error of package metric.
func (s *Set) NewGaugeVec(opts GaugeOpts, labels []string) (*GaugeVec, error) {
	schema, err := opts.schema(labels)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, func(in *instrument) *GaugeVec {
		return &GaugeVec{metricVec[Gauge]{v: newVec[Gauge](in)}}
	})
}

// CurryWith returns a view with these labels fixed. The error matches
// ErrLabels.
func (v *GaugeVec) CurryWith(labels Labels) (*GaugeVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &GaugeVec{c}, nil
}

// MustCurryWith is CurryWith, and panics on an error.
func (v *GaugeVec) MustCurryWith(labels Labels) *GaugeVec { return Must(v.CurryWith(labels)) }
