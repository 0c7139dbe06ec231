package multiproc

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// Gauge is a value that goes up and down. How the values of several processes
// merge is its mode. Its methods neither allocate nor panic; they never block
// either, but that concurrent calls of Set take turns in the mostrecent modes.
type Gauge struct {
	s      series[[]uint64]
	recent bool
	turn   sync.Mutex // of Set in the mostrecent modes
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
	return declare(s, schema, 0, func(in *instrument) *Gauge { return newGauge(in, nil) })
}

func (o GaugeOpts) schema(labels []string) (*metric.Schema, error) {
	common := Opts{o.Namespace, o.Subsystem, o.Name, o.Help, o.Unit, o.ConstLabels, o.MaxSeries}
	return common.schema(metric.Gauge, o.Mode, labels)
}

func newGauge(in *instrument, values []string) *Gauge {
	g := &Gauge{recent: in.schema.Mode.Base() == metric.ModeMostRecent}
	g.s.init(in, values, slice)
	return g
}

func slice(w []uint64) *[]uint64 { return &w }

// Set sets the gauge to v.
func (g *Gauge) Set(v float64) {
	w := *g.s.load()
	bits := math.Float64bits(v)
	if v != v {
		bits = math.Float64bits(math.NaN()) // not the bits that say "unset"
	}
	if g.recent {
		g.turn.Lock()
		mmapstore.StoreRecent(w, bits, g.s.in.set.nanos())
		g.turn.Unlock()
	} else {
		atomic.StoreUint64(&w[mmapstore.CellGauge], bits)
	}
	runtime.KeepAlive(g)
}

// Add adds v, which may be negative. In a mostrecent mode a difference means
// nothing: it is dropped and counted as an invalid update.
func (g *Gauge) Add(v float64) {
	if g.recent {
		g.s.in.set.count(countInvalid)
		return
	}
	p := &(*g.s.load())[mmapstore.CellGauge]
	for {
		old := atomic.LoadUint64(p)
		sum := v
		if old != mmapstore.UnsetBits {
			sum += math.Float64frombits(old)
		}
		bits := math.Float64bits(sum)
		if sum != sum {
			bits = math.Float64bits(math.NaN())
		}
		if atomic.CompareAndSwapUint64(p, old, bits) {
			break
		}
	}
	runtime.KeepAlive(g)
}

// Sub subtracts v, as Add of -v.
func (g *Gauge) Sub(v float64) { g.Add(-v) }

// Inc adds 1.
func (g *Gauge) Inc() { g.Add(1) }

// Dec subtracts 1.
func (g *Gauge) Dec() { g.Add(-1) }

// SetToCurrentTime sets the gauge to the seconds since 1970.
func (g *Gauge) SetToCurrentTime() { g.Set(float64(g.s.in.set.nanos()) / 1e9) }

// TrackInProgress adds 1 and returns a function that takes it away again:
//
//	defer inFlight.TrackInProgress()()
//
// A killed process never takes its own away: use ModeLiveSum, in which it
// leaves with the process.
func (g *Gauge) TrackInProgress() (done func()) {
	g.Inc()
	return g.Dec
}

// Timer returns a timer that sets the gauge to its duration in seconds.
func (g *Gauge) Timer() *Timer { return NewTimer(ObserverFunc(g.Set)) }

func (g *Gauge) remove() { g.s.remove() }

// GaugeFunc is a gauge whose value a function tells.
type GaugeFunc struct {
	gauge *Gauge
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
// invalid update is counted.
func (s *Set) NewGaugeFunc(opts GaugeOpts, f func() float64) (*GaugeFunc, error) {
	schema, err := opts.schema(nil)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, 0, func(in *instrument) *GaugeFunc {
		g := &GaugeFunc{gauge: newGauge(in, nil), f: f}
		s.functions = append(s.functions, g)
		if len(s.functions) == 1 && s.store.Load() != nil {
			s.startPublisher()
		}
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

// GaugeVec is a family of gauges, one per set of label values.
type GaugeVec struct{ metricVec[Gauge, *Gauge] }

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
	return declare(s, schema, opts.MaxSeries, func(in *instrument) *GaugeVec {
		discard := &Gauge{recent: in.schema.Mode.Base() == metric.ModeMostRecent}
		discard.s.discard(in, slice)
		return &GaugeVec{metricVec[Gauge, *Gauge]{v: newVec(in, discard, func(values []string) *Gauge {
			return newGauge(in, values)
		})}}
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
