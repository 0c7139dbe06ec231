package aggregate

import (
	"math"
	"math/bits"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// accumulator is what any number of processes add up to in one series. Which
// fields count depends on the schema's type. The result does not depend on
// the order in which processes are added, nor on how many of them were added up
// before: compacting changes no value.
type accumulator struct {
	pick
	sum      exactSum // counter: other increments; histogram, summary, gauge sum: the sum
	hi, ints uint64   // counter: whole increments, 128 bits; summary: count
	counts   []uint64 // histogram: observations per bucket
	recents  recents  // mostrecent, in the archive: what the pick is picked from
}

// source is the process whose words are added.
type source struct {
	live    bool
	created int64 // when it opened its file
	now     int64 // the reader's clock
}

// add adds one process's words of a series of that schema.
// bucket is where each bucket goes, nil for its own place.
func (a *accumulator) add(schema *metric.Schema, w []uint64, bucket []int, created int64, from source) {
	if !summed(schema) {
		a.pick.add(schema, w, created, from)
		if schema.Timed() {
			a.recents = a.recents.add(recentOf(w), from.now)
		}
		return
	}
	if isLive(schema) && !from.live {
		return
	}
	a.enter(created)
	switch schema.Type {
	case metric.Counter:
		a.addInts(0, w[mpm.CellCounterInts])
		f := math.Float64frombits(w[mpm.CellCounterFloat])
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			a.sum.add(f) // no writer of ours makes another: that would be damage
		}
	case metric.Summary:
		a.ints += w[mpm.CellSummaryCount]
		a.sum.add(math.Float64frombits(w[mpm.CellSummarySum]))
	case metric.Histogram:
		a.sum.add(math.Float64frombits(w[mpm.CellHistogramSum]))
		addCounts(a.counts, w[mpm.CellHistogramBuckets:], bucket)
	case metric.Gauge, metric.Unknown:
		if w[mpm.CellGauge] != mpm.UnsetBits {
			a.sum.add(math.Float64frombits(w[mpm.CellGauge]))
			a.set = true
		}
	}
}

// join adds what other processes add up to.
func (a *accumulator) join(schema *metric.Schema, o *accumulator, bucket []int, now int64) {
	if !summed(schema) {
		a.pick.join(schema, o, now)
		for _, r := range o.recents {
			a.recents = a.recents.add(r, now)
		}
		return
	}
	if !o.present {
		return
	}
	a.enter(o.created)
	a.set = a.set || o.set
	a.sum.join(&o.sum)
	switch schema.Type {
	case metric.Counter:
		a.addInts(o.hi, o.ints)
	case metric.Summary:
		a.ints += o.ints
	case metric.Histogram:
		addCounts(a.counts, o.counts, bucket)
	}
}

func (a *accumulator) addInts(hi, lo uint64) {
	var carry uint64
	a.ints, carry = bits.Add64(a.ints, lo, 0)
	a.hi += hi + carry
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
