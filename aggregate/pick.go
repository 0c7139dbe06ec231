package aggregate

import (
	"math"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// pick is what any number of processes make of a series that is not their sum: a
// gauge of another mode, a state set, an info. Of other series it is what they have
// beside their sums.
type pick struct {
	present bool // some process has the series
	live    bool // of an info: some living process has it
	set     bool // of a gauge: some process has set it

	created int64   // the earliest
	value   float64 // gauge; in mode mostrecent a state set too
	nanos   int64   // mostrecent: of the value
	state   uint64  // state set
	newest  int64   // info: creation of the newest process that has it
}

// enter notes that a process has the series, which began at created.
func (c *pick) enter(created int64) {
	if !c.present || created < c.created {
		c.created = created
	}
	c.present = true
}

// add adds one process's words.
func (c *pick) add(schema *metric.Schema, w []uint64, created int64, from source) {
	if schema.Type == metric.Info {
		// Of the living, or of the newest dead one; see families.
		c.live = c.live || from.live
		c.newest = max(c.newest, from.created)
	} else if isLive(schema) && !from.live {
		return
	}
	c.enter(created)
	switch {
	case schema.Timed():
		c.recent(recentOf(w), from.now)
	case schema.Type == metric.StateSet:
		c.state = w[mpm.CellState]
	case schema.Type.LikeGauge() && w[mpm.CellGauge] != mpm.UnsetBits:
		c.gauge(schema.Mode.Base(), math.Float64frombits(w[mpm.CellGauge]))
	}
}

// join adds what other processes make of it.
func (c *pick) join(schema *metric.Schema, o *accumulator, now int64) {
	if !o.present {
		return
	}
	c.enter(o.created)
	c.newest = max(c.newest, o.newest)
	switch {
	case schema.Timed():
		for _, r := range o.recents {
			c.recent(r, now)
		}
	case schema.Type == metric.StateSet:
		c.state = o.state
	case o.set:
		c.gauge(schema.Mode.Base(), o.value)
	}
}

// gauge merges one value that was set. A process that never set the gauge
// takes no part while another did.
func (c *pick) gauge(mode metric.Mode, v float64) {
	if mode != metric.ModeMin && mode != metric.ModeMax || !c.set || wins(mode, v, c.value) {
		c.value = v
	}
	c.set = true
}

// wins reports whether v takes the place of old: in mode min the smaller, else the
// larger. Any number wins against NaN, which says nothing about size. A zero has a
// sign too, so that the order in which values come never shows.
func wins(mode metric.Mode, v, old float64) bool {
	switch {
	case math.IsNaN(v) || math.IsNaN(old):
		return !math.IsNaN(v)
	case v == old:
		return math.Signbit(v) != math.Signbit(old) && math.Signbit(v) == (mode == metric.ModeMin)
	case mode == metric.ModeMin:
		return v < old
	}
	return v > old
}

// recent keeps the newest value.
func (c *pick) recent(r recent, now int64) {
	if r.beats(recent{c.value, c.nanos}, now) {
		c.value, c.nanos, c.set = r.value, r.nanos, true
	}
}

// stateOf returns the number of the state of a state set.
func (c *pick) stateOf(schema *metric.Schema) uint64 {
	if schema.Timed() {
		return uint64(c.value)
	}
	return c.state
}

// fill writes the values.
func (c *pick) fill(schema *metric.Schema, out *metric.Series) {
	switch schema.Type {
	case metric.Info:
		out.Value = 1
	case metric.StateSet:
		on := c.stateOf(schema)
		for i, name := range schema.States {
			out.States = append(out.States, metric.State{Name: name, On: uint64(i) == on})
		}
	default:
		out.Value = c.value // 0 where nobody has set it
	}
}
