package aggregate

import (
	"math"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// accumulator is what the files of one scrape add up to in one series. Which
// fields count depends on the family's type.
type accumulator struct {
	present bool // some file has the series
	live    bool // some living process has it

	ints    uint64  // counter: whole increments; summary: count; state set: state
	float   float64 // counter: others; gauge: value; histogram, summary: sum
	counts  []uint64
	created int64
	nanos   int64 // of the value, in the mostrecent modes
	set     bool  // some process has set the gauge
	newest  int64 // creation of the process that an info's series is of
}

func (a *accumulator) reset() {
	clear(a.counts)
	*a = accumulator{counts: a.counts}
}

// merge adds up the values of all files, in the order of their names: equal
// files give equal bytes, and a sum of counters that only grow only grows.
func (t *table) merge(files []*file, now int64) {
	for _, fam := range t.byName {
		for _, s := range fam.series {
			s.acc.reset()
		}
	}
	for _, f := range files {
		created := int64(0)
		if f.reader != nil {
			created = f.reader.Header().Created.UnixNano()
		}
		for i := range f.steps {
			if st := &f.steps[i]; st.slot != nil {
				st.slot.acc.add(st, f.values[st.at:st.at+st.n], f.live, created, now)
			}
		}
	}
}

func (a *accumulator) add(st *step, w []uint64, live bool, process, now int64) {
	switch st.schema.Type {
	case metric.Gauge, metric.StateSet:
		if st.schema.Mode.Live() && !live {
			return
		}
	case metric.Info:
		// Of the living, or of the newest dead one; see families.
		a.live = a.live || live
		a.newest = max(a.newest, process)
	}
	first := !a.present
	a.present = true
	if first || st.created < a.created {
		a.created = st.created
	}
	switch st.schema.Type {
	case metric.Counter:
		a.ints += w[mmapstore.CellCounterInts]
		a.float += math.Float64frombits(w[mmapstore.CellCounterFloat])
	case metric.Summary:
		a.ints += w[mmapstore.CellSummaryCount]
		a.float += math.Float64frombits(w[mmapstore.CellSummarySum])
	case metric.Histogram:
		a.float += math.Float64frombits(w[mmapstore.CellHistogramSum])
		for i, n := range w[mmapstore.CellHistogramBuckets:] {
			if st.bucket != nil {
				i = st.bucket[i]
			}
			a.counts[i] += n
		}
	case metric.StateSet:
		if isRecent(st.schema) {
			if nanos := min(int64(w[1]), now); first || nanos > a.nanos {
				a.ints, a.nanos = uint64(math.Float64frombits(w[0])), nanos
			}
			return
		}
		a.ints = w[mmapstore.CellState]
	case metric.Gauge:
		a.gauge(st.schema.Mode.Base(), w, now)
	}
}

// gauge merges one process's value. A process that never set the gauge takes
// no part while another did.
func (a *accumulator) gauge(mode metric.Mode, w []uint64, now int64) {
	if mode == metric.ModeMostRecent {
		// A clock that ran ahead does not win for ever.
		if nanos := min(int64(w[1]), now); nanos > a.nanos {
			a.float, a.nanos, a.set = math.Float64frombits(w[0]), nanos, true
		}
		return
	}
	if w[mmapstore.CellGauge] == mmapstore.UnsetBits {
		return
	}
	v := math.Float64frombits(w[mmapstore.CellGauge])
	switch {
	case !a.set:
		a.float = v
	case mode == metric.ModeSum:
		a.float += v
	case mode == metric.ModeMin:
		// NaN says nothing about size: any number wins against it.
		if v < a.float || math.IsNaN(a.float) {
			a.float = v
		}
	case mode == metric.ModeMax:
		if v > a.float || math.IsNaN(a.float) {
			a.float = v
		}
	default:
		a.float = v
	}
	a.set = true
}
