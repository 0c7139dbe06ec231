package sum

import (
	"math"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Pick is what any number of processes make of a series that is not their sum: a
// gauge of another mode, a state set, an info. Of other series it is what they have
// beside their sums.
type Pick struct {
	Present bool // some process has the series
	Live    bool // of an info: some living process has it
	Set     bool // of a gauge: some process has set it

	Created int64   // the earliest
	value   float64 // gauge; in mode mostrecent a state set too
	nanos   int64   // mostrecent: of the value
	state   uint64  // state set
	Newest  int64   // info: creation of the newest process that has it; of one process's, of the newest part
}

// Enter notes that a process has the series, which began at created.
func (c *Pick) Enter(created int64) {
	if !c.Present || created < c.Created {
		c.Created = created
	}
	c.Present = true
}

// Add adds one process's words.
func (c *Pick) Add(schema *metric.Schema, w []uint64, created int64, from Source) {
	if schema.Type == metric.Info {
		// Of the living, or of the newest dead one; see families.
		c.Live = c.Live || from.Live
		c.Newest = max(c.Newest, from.Created)
	} else if IsLive(schema) && !from.Live {
		return
	}
	c.Enter(created)
	switch {
	case schema.Timed():
		c.Recent(recentOf(w), from.Now)
	case schema.Type == metric.StateSet:
		if c.isNewest(created) {
			c.state = w[mpm.CellState]
		}
	case schema.Type.LikeGauge() && w[mpm.CellGauge] != mpm.UnsetBits:
		if PerProcess(schema) && !c.isNewest(created) {
			return
		}
		c.gauge(schema.Mode.Base(), math.Float64frombits(w[mpm.CellGauge]))
	}
}

// isNewest reports whether a part that was created then takes the place of those before it.
// A file may have several series of one process with the same labels. Their order says
// nothing, since the places of series that were removed are used again.
func (c *Pick) isNewest(created int64) bool {
	newest := created >= c.Newest
	c.Newest = max(c.Newest, created)
	return newest
}

// Join adds what other processes make of it.
func (c *Pick) Join(schema *metric.Schema, o *Accumulator, now int64) {
	if !o.Present {
		return
	}
	c.Enter(o.Created)
	c.Newest = max(c.Newest, o.Newest)
	switch {
	case schema.Timed():
		for _, r := range o.Recents {
			c.Recent(r, now)
		}
	case schema.Type == metric.StateSet:
		c.state = o.state
	case o.Set:
		c.gauge(schema.Mode.Base(), o.value)
	}
}

// gauge merges one value that was set. A process that never set the gauge
// takes no part while another did.
func (c *Pick) gauge(mode metric.Mode, v float64) {
	if mode != metric.ModeMin && mode != metric.ModeMax || !c.Set || wins(mode, v, c.value) {
		c.value = v
	}
	c.Set = true
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

// Recent keeps the newest value.
func (c *Pick) Recent(r Recent, now int64) {
	if r.beats(Recent{c.value, c.nanos}, now) {
		c.value, c.nanos, c.Set = r.Value, r.Nanos, true
	}
}

// stateOf returns the number of the state of a state set.
func (c *Pick) stateOf(schema *metric.Schema) uint64 {
	if schema.Timed() {
		return uint64(c.value)
	}
	return c.state
}

// Fill writes the values.
func (c *Pick) Fill(schema *metric.Schema, out *metric.Series) {
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
