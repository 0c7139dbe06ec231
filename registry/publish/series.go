package publish

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// series is one label set of the source, and its series in the store. The publisher is its
// only writer, and each word is one atomic store: a reader sees each value before or after
// a change.
type series struct {
	shape  *shape
	handle *mpm.Series // nil while the source does not yield it
	round  uint64      // of the last publication that had it

	// For a counter, histogram or summary.
	created time.Time         // according to the source
	value   running[float64]  // the counter; else the sum
	count   running[uint64]   // of a summary
	buckets []running[uint64] // of a histogram, not cumulative
	native  *native           // nil without native buckets
	shown   []metric.Exemplar // the last ones, of each bucket, once there are any
}

// write stores what the source says now. check has accepted it. now is the time of the
// publication.
func (e *series) write(s *metric.Series, now time.Time) {
	schema, w := e.shape.schema, e.handle.Words()
	switch schema.Type {
	case metric.Counter:
		e.counter(w, s)
	case metric.Histogram:
		if schema.Native != nil {
			e.nativeHistogram(w, s)
		} else {
			e.histogram(w, s)
		}
	case metric.Summary:
		e.summary(w, s)
	case metric.Gauge, metric.Unknown:
		bits := math.Float64bits(s.Value)
		if math.IsNaN(s.Value) {
			bits = math.Float64bits(math.NaN()) // not the bits that say "unset"
		}
		if schema.Timed() {
			storeRecent(w, bits, s.Timestamp, now)
		} else {
			atomic.StoreUint64(&w[mpm.CellGauge], bits)
		}
	case metric.StateSet:
		on := stateOn(s)
		if schema.Timed() {
			storeRecent(w, math.Float64bits(float64(on)), s.Timestamp, now)
		} else {
			atomic.StoreUint64(&w[mpm.CellState], uint64(on))
		}
	}
}

// revive prepares a series that had gone for a new one in the store.
func (e *series) revive() {
	e.shown = nil
	if e.native != nil { // what it had is in the regions of the removed series
		clear(e.native.regions)
		e.native.held = nil
	}
	e.value.revive()
	e.count.revive()
	for i := range e.buckets {
		e.buckets[i].revive()
	}
}

// counter stores the whole value in the word for fractions. The other word stays 0, so there
// is no moment between two stores.
func (e *series) counter(w []uint64, s *metric.Series) {
	if e.begins(s) || s.Value < e.value.last {
		e.value.restart()
	}
	storeFloat(w, mpm.CellCounterFloat, e.value.next(s.Value))
}

func (e *series) summary(w []uint64, s *metric.Series) {
	if e.begins(s) || s.Count < e.count.last {
		e.count.restart()
		e.value.restart()
	}
	storeFloat(w, mpm.CellSummarySum, e.value.next(sum(s)))
	atomic.StoreUint64(&w[mpm.CellSummaryCount], e.count.next(s.Count))
}

func (e *series) histogram(w []uint64, s *metric.Series) {
	if e.buckets == nil {
		e.buckets = make([]running[uint64], len(s.Buckets))
	}
	restarted, below := e.begins(s), uint64(0)
	for i, b := range s.Buckets {
		restarted = restarted || b.Count-below < e.buckets[i].last
		below = b.Count
	}
	if restarted {
		e.value.restart()
		for i := range e.buckets {
			e.buckets[i].restart()
		}
	}
	storeFloat(w, mpm.CellHistogramSum, e.value.next(sum(s)))
	below = 0
	for i, b := range s.Buckets {
		atomic.StoreUint64(&w[mpm.CellHistogramBuckets+i], e.buckets[i].next(b.Count-below))
		below = b.Count
	}
}

// begins reports whether the source has begun the series again: it has another created time
// or, without one, its value has fallen.
func (e *series) begins(s *metric.Series) bool {
	again := !e.created.IsZero() && !s.Created.IsZero() && !s.Created.Equal(e.created)
	e.created = s.Created
	return again
}

// sum is NaN if the sum is not known. The store has no other way to say so, and 0 would be
// false.
func sum(s *metric.Series) float64 {
	if s.NoSum {
		return math.NaN()
	}
	return s.Sum
}

func storeFloat(w []uint64, i int, v float64) { atomic.StoreUint64(&w[i], math.Float64bits(v)) }

// storeRecent stores a value of a mostrecent mode with its time, which is that of the source
// or else that of the publication that first had this value. An unchanged value keeps its
// time. Otherwise the process that publishes last would always be the most recent one.
func storeRecent(w []uint64, bits uint64, of, now time.Time) {
	if of.IsZero() {
		if old, nanos, ok := mpm.LoadRecent(w); ok && nanos != 0 && old == bits {
			return
		}
		of = now
	}
	mpm.StoreRecent(w, bits, of.UnixNano())
}

// stateOn returns which state is on, or -1 if not exactly one is.
func stateOn(s *metric.Series) int {
	on := -1
	for i, st := range s.States {
		switch {
		case !st.On:
		case on >= 0:
			return -1
		default:
			on = i
		}
	}
	return on
}

// check returns why the store cannot hold s, or nil.
func check(t metric.Type, s *metric.Series) error {
	if n := len(s.Labels); n > form.MaxLabels {
		return fmt.Errorf("%w: %d labels, the most is %d", form.ErrLabel, n, form.MaxLabels)
	}
	for _, l := range s.Labels {
		if n := len(l.Value); n > form.MaxLabelValueLen {
			return fmt.Errorf("%w: the value of %q has %d bytes, the most is %d", form.ErrLabel, l.Name, n, form.MaxLabelValueLen)
		}
	}
	switch t {
	case metric.Counter:
		if !(s.Value >= 0) || math.IsInf(s.Value, 0) {
			return errNotCounter
		}
	case metric.StateSet:
		if stateOn(s) < 0 {
			return errNotOneOn
		}
	}
	return nil
}

var (
	errNotCounter = errors.New("the value of a counter is negative, infinite or NaN")
	errBounds     = errors.New("its bucket bounds or its zero threshold have changed, which the store cannot follow until the process restarts")
	errNotOneOn   = errors.New("not exactly one of its states is on")
)
