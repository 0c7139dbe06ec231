package aggregate

import (
	"math"
	"math/bits"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// accumulator is what any number of processes add up to in one series. Which
// fields count depends on the definition's type. The result does not depend on
// the order in which processes are added, nor on how many of them were added up
// before: folding changes no value.
type accumulator struct {
	present bool // some process has the series
	live    bool // some living process has it
	set     bool // of a gauge: some process has set it

	created  int64    // the earliest
	sum      exactSum // counter: other increments; histogram, summary, gauge sum: the sum
	hi, ints uint64   // counter: whole increments, 128 bits; summary: count; state set: state
	value    float64  // other gauges
	counts   []uint64 // histogram: observations per bucket
	nanos    int64    // mostrecent: of the value
	newest   int64    // info: creation of the newest process that has it
}

func (a *accumulator) reset() {
	clear(a.counts)
	a.sum.reset()
	*a = accumulator{counts: a.counts, sum: a.sum}
}

// enter notes that a process has the series, which began at created.
func (a *accumulator) enter(created int64) {
	if !a.present || created < a.created {
		a.created = created
	}
	a.present = true
}

// source is the process whose words are added.
type source struct {
	live    bool
	created int64 // when it opened its file
	now     int64 // the reader's clock
}

// add adds one process's words of a series of that definition.
// bucket is where each bucket goes, nil for its own place.
func (a *accumulator) add(schema *metric.Schema, w []uint64, bucket []int, created int64, from source) {
	switch schema.Type {
	case metric.Gauge, metric.StateSet:
		if schema.Mode.Live() && !from.live {
			return
		}
	case metric.Info:
		// Of the living, or of the newest dead one; see families.
		a.live = a.live || from.live
		a.newest = max(a.newest, from.created)
	}
	a.enter(created)
	switch schema.Type {
	case metric.Counter:
		a.addInts(0, w[mmapstore.CellCounterInts])
		f := math.Float64frombits(w[mmapstore.CellCounterFloat])
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			a.sum.add(f) // no writer of ours makes another: that would be damage
		}
	case metric.Summary:
		a.ints += w[mmapstore.CellSummaryCount]
		a.sum.add(math.Float64frombits(w[mmapstore.CellSummarySum]))
	case metric.Histogram:
		a.sum.add(math.Float64frombits(w[mmapstore.CellHistogramSum]))
		a.addCounts(w[mmapstore.CellHistogramBuckets:], bucket)
	case metric.StateSet:
		if isRecent(schema) {
			a.recent(math.Float64frombits(w[0]), int64(w[1]), from.now)
		} else {
			a.ints = w[mmapstore.CellState]
		}
	case metric.Gauge:
		switch {
		case isRecent(schema):
			a.recent(math.Float64frombits(w[0]), int64(w[1]), from.now)
		case w[mmapstore.CellGauge] != mmapstore.UnsetBits:
			a.gauge(schema.Mode.Base(), math.Float64frombits(w[mmapstore.CellGauge]))
		}
	}
}

// join adds what other processes add up to.
func (a *accumulator) join(schema *metric.Schema, o *accumulator, bucket []int, now int64) {
	if !o.present {
		return
	}
	a.enter(o.created)
	a.newest = max(a.newest, o.newest)
	switch schema.Type {
	case metric.Counter:
		a.addInts(o.hi, o.ints)
		a.sum.join(&o.sum)
	case metric.Summary:
		a.ints += o.ints
		a.sum.join(&o.sum)
	case metric.Histogram:
		a.sum.join(&o.sum)
		a.addCounts(o.counts, bucket)
	case metric.Gauge, metric.StateSet:
		mode := schema.Mode.Base()
		switch {
		case isRecent(schema):
			a.recent(o.value, o.nanos, now)
		case schema.Type == metric.StateSet:
			a.ints = o.ints
		case !o.set:
		case mode == metric.ModeSum:
			a.sum.join(&o.sum)
			a.set = true
		default:
			a.gauge(mode, o.value)
		}
	}
}

func (a *accumulator) addInts(hi, lo uint64) {
	var carry uint64
	a.ints, carry = bits.Add64(a.ints, lo, 0)
	a.hi += hi + carry
}

func (a *accumulator) addCounts(counts []uint64, bucket []int) {
	for i, n := range counts {
		if bucket != nil {
			i = bucket[i]
		}
		a.counts[i] += n
	}
}

// gauge merges one value that was set. A process that never set the gauge
// takes no part while another did.
func (a *accumulator) gauge(mode metric.Mode, v float64) {
	switch {
	case mode == metric.ModeSum:
		a.sum.add(v)
	case !a.set:
		a.value = v
	case mode == metric.ModeMin:
		// NaN says nothing about size: any number wins against it.
		if v < a.value || math.IsNaN(a.value) {
			a.value = v
		}
	case mode == metric.ModeMax:
		if v > a.value || math.IsNaN(a.value) {
			a.value = v
		}
	default:
		a.value = v
	}
	a.set = true
}

// recent keeps the newest value. A time of 0 says that nobody has set it. A
// clock that ran ahead counts as now, so that it does not win for ever once it
// is folded; of two values of one time, the larger wins.
func (a *accumulator) recent(v float64, nanos, now int64) {
	nanos = min(nanos, now)
	if nanos <= 0 {
		return
	}
	if nanos > a.nanos || nanos == a.nanos && (v > a.value || math.IsNaN(a.value)) {
		a.value, a.nanos, a.set = v, nanos, true
	}
}

// counter returns a counter's value, rounded once.
func (a *accumulator) counter() float64 {
	const exact = 1 << 53
	if a.hi == 0 && a.ints <= exact && len(a.sum.rest) == 0 && !a.sum.odd {
		return float64(a.ints) + a.sum.first
	}
	var s exactSum
	s.join(&a.sum)
	for i, word := range [2]uint64{a.ints, a.hi} {
		s.add(math.Ldexp(float64(uint32(word)), 64*i))
		s.add(math.Ldexp(float64(word>>32), 64*i+32))
	}
	return s.round()
}

// state returns the number of the state of a state set.
func (a *accumulator) state(schema *metric.Schema) uint64 {
	if isRecent(schema) {
		return uint64(a.value)
	}
	return a.ints
}

// gaugeValue returns a gauge's value, 0 where nobody has set it.
func (a *accumulator) gaugeValue(schema *metric.Schema) float64 {
	if schema.Mode.Base() == metric.ModeSum {
		return a.sum.round()
	}
	return a.value
}
