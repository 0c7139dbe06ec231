package multiproc

import (
	"math"
	"sync/atomic"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// What this process has counted, for tests and for adapters. A Gatherer has the merged
// view (package registry). Reading opens no store and makes no series. Before the first
// update, everything is 0.

// Value returns what this process has counted.
func (c *Counter) Value() float64 {
	if !c.of().bound() {
		return 0
	}
	frac := atomic.LoadUint64(&c.of().load()[mpm.CellCounterFloat])
	v := mpm.CounterValue(atomic.LoadUint64(&c.of().load()[mpm.CellCounterInts]), frac)
	c.of().keepAlive()
	return v
}

// Value returns what this process has set the gauge to, or 0 if it has not.
func (g *Gauge) Value() float64 {
	if !g.s.bound() {
		return 0
	}
	var bits uint64
	if g.recent.timed {
		g.recent.turn.Lock() // no writer may come between
		bits, _, _ = mpm.LoadRecent(g.s.load())
		g.recent.turn.Unlock()
	} else {
		bits = atomic.LoadUint64(&g.s.load()[mpm.CellGauge])
	}
	g.s.keepAlive()
	if bits == mpm.UnsetBits {
		return 0
	}
	return math.Float64frombits(bits)
}

// Values returns what this process has observed: the sum, and cumulative buckets, of which
// the last is +Inf and has the count. A concurrent observation may be in the sum and not
// yet in a bucket.
func (h *Histogram) Values() (buckets []metric.Bucket, sum float64) {
	if s, ok := h.nativeSeries(); ok {
		return s.Buckets, s.Sum
	}
	bounds := h.s.in.schema.Bounds
	counts := make([]uint64, len(bounds)+1)
	if h.s.bound() {
		for i := range counts {
			counts[i] = atomic.LoadUint64(&h.s.load()[mpm.CellHistogramBuckets+i])
		}
		sum = math.Float64frombits(atomic.LoadUint64(&h.s.load()[mpm.CellHistogramSum]))
		h.s.keepAlive()
	}
	return metric.Cumulate(bounds, counts), sum
}

// Values returns the number of observations of this process and their sum. A concurrent
// observation may be in the sum and not yet in the count.
func (m *Summary) Values() (count uint64, sum float64) {
	if !m.s.bound() {
		return 0, 0
	}
	count = atomic.LoadUint64(&m.s.load()[mpm.CellSummaryCount])
	sum = math.Float64frombits(atomic.LoadUint64(&m.s.load()[mpm.CellSummarySum]))
	m.s.keepAlive()
	return count, sum
}
