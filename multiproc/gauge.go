package multiproc

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Gauge is a value that goes up and down. Its mode says how the values of several
// processes merge. Its methods never panic. Updates never allocate or block, except that
// concurrent calls of Set take turns in a mostrecent mode, and that the first update of a
// process opens the store. TrackInProgress and Timer allocate what they return.
type Gauge struct {
	s      series
	recent recent
}

// NewGauge declares a gauge in the default Set. It panics if the options are
// invalid.
func NewGauge(opts GaugeOpts) *Gauge { return must(Default().NewGauge(opts)) }

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
	common := Opts{o.Namespace, o.Subsystem, o.Name, o.Help, o.Unit, o.ConstLabels, o.MaxSeries, o.Separate, o.TTL}
	return common.schema(metric.Gauge, o.Mode, labels)
}

func (g *Gauge) init(in *instrument, values []string) {
	g.recent.init(in)
	g.s.init(in, values, g)
}

func (g *Gauge) bindLocked(values []string) {
	g.recent.init(g.s.in) // the TTL may be known only now
	g.s.bindLocked(values)
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
		g.set(bits) // the call comes last, see Histogram.Observe
	}
}

//go:noinline
func (g *Gauge) set(bits uint64) {
	w := g.s.load() // first: the recent of a gauge without words is not final
	if g.recent.timed {
		g.recent.store(g.s.in.set, w, bits)
	} else {
		atomic.StoreUint64(&w[mpm.CellGauge], bits)
		g.recent.count(w)
	}
	g.s.keepAlive()
}

// Add adds v, which may be negative. In a mostrecent mode a difference has no meaning: it
// is dropped and counted as an invalid update.
func (g *Gauge) Add(v float64) {
	if w := (*uint64)(atomic.LoadPointer(&g.s.first)); w != nil && !g.recent.on {
		for {
			old := atomic.LoadUint64(w)
			sum := math.Float64frombits(old) + v
			if sum != sum { // NaN, or unset
				break
			}
			if atomic.CompareAndSwapUint64(w, old, math.Float64bits(sum)) {
				g.s.keepAlive()
				return
			}
		}
	}
	g.add(v) // the call comes last, see Histogram.Observe
}

//go:noinline
func (g *Gauge) add(v float64) {
	if g.recent.timed {
		g.s.in.set.count(countInvalid)
		return
	}
	w := g.s.load()
	p := &w[mpm.CellGauge]
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
	g.recent.count(w)
	g.s.keepAlive()
}

// Sub subtracts v, as Add of -v.
func (g *Gauge) Sub(v float64) { g.Add(-v) }

// Inc adds 1.
func (g *Gauge) Inc() { g.Add(1) }

// Dec subtracts 1.
func (g *Gauge) Dec() { g.Add(-1) }

// SetToCurrentTime sets the gauge to the Unix time in seconds.
func (g *Gauge) SetToCurrentTime() { g.Set(float64(g.s.in.set.opts.Now().UnixNano()) / 1e9) }

// TrackInProgress adds 1 and returns a function that subtracts it again. Call it once:
//
//	defer inFlight.TrackInProgress()()
//
// A process that is killed never subtracts its own. Use metric.ModeLiveSum, in which they leave
// with the process. The mostrecent modes have no differences.
func (g *Gauge) TrackInProgress() (done func()) {
	g.Inc()
	return g.Dec
}

// Timer returns a timer that sets the gauge to its duration in seconds.
func (g *Gauge) Timer() *Timer { return NewTimer(ObserverFunc(g.Set)) }

func (g *Gauge) remove() { g.s.removeAs(g) }

// GaugeFunc is a gauge whose value a function returns.
type GaugeFunc struct {
	gauge Gauge
	f     func() float64
}

// NewGaugeFunc declares a gauge function in the default Set. It panics if the options are
// invalid.
func NewGaugeFunc(opts GaugeOpts, f func() float64) *GaugeFunc {
	return must(Default().NewGaugeFunc(opts, f))
}

// NewGaugeFunc declares a gauge whose value f returns. f is called when this process
// serves a scrape, and at the Set's period. Several goroutines may call it at once. If it
// panics, the gauge keeps its value, and an invalid update is counted. If the same
// options are given again, the first f stays.
func (s *Set) NewGaugeFunc(opts GaugeOpts, f func() float64) (*GaugeFunc, error) {
	schema, err := opts.schema(nil)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, fmt.Errorf("multiproc: define %q: %w: the function is nil", schema.Name, form.ErrSchema)
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

// GaugeVec has one Gauge for each set of label values. In the methods that all Vecs
// share, T is Gauge.
type GaugeVec struct{ metricVec[Gauge] }

// NewGaugeVec declares a gauge with labels in the default Set. It panics if the options are
// invalid.
func NewGaugeVec(opts GaugeOpts, labels []string) *GaugeVec {
	return must(Default().NewGaugeVec(opts, labels))
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

// CurryWith returns a view of the Vec in which these labels have fixed values. The error
// matches metric.ErrInvalid.
func (v *GaugeVec) CurryWith(labels Labels) (*GaugeVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &GaugeVec{c}, nil
}

// MustCurryWith is CurryWith, but panics if there is an error.
func (v *GaugeVec) MustCurryWith(labels Labels) *GaugeVec { return must(v.CurryWith(labels)) }
