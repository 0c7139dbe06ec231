package sum

import (
	"math"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Pick is the merged value of a series that is not a sum: a gauge of another mode, a state
// set, an info. For series that are sums, it has what they have beside the sum.
type Pick struct {
	Present bool // some process has the series
	Live    bool // of an info: some living process has it
	Set     bool // of a gauge: some process has set it

	Created int64   // the earliest
	value   float64 // gauge; in mode mostrecent a state set too
	nanos   int64   // mostrecent: of the value
	state   uint64  // state set
	Newest  int64   // info: when the newest process that has it opened its file; state set, gauge of one process: created time of the newest part
}

// Enter notes that a process has the series, which began at created.
func (c *Pick) Enter(created int64) {
	if !c.Present || created < c.Created {
		c.Created = created
	}
	c.Present = true
}

// Add merges one process's words.
func (c *Pick) Add(schema *metric.Schema, w []uint64, created int64, from Source) {
	if schema.Type == metric.Info {
		// Which of them is shown is decided later, when all processes are known.
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

// isNewest reports whether a part with that created time replaces those before it. A file
// may have several series with the same labels. Their order says nothing, because space of
// removed series is used again.
func (c *Pick) isNewest(created int64) bool {
	newest := created >= c.Newest
	c.Newest = max(c.Newest, created)
	return newest
}

// Join merges what other processes add up to.
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

// gauge merges one value that was set. A process that never set the gauge does not count
// if another one did.
func (c *Pick) gauge(mode metric.Mode, v float64) {
	if mode != metric.ModeMin && mode != metric.ModeMax || !c.Set || wins(mode, v, c.value) {
		c.value = v
	}
	c.Set = true
}

// wins reports whether v replaces old: in mode min the smaller value wins, otherwise the
// larger. Any number wins against NaN, and -0 is smaller than 0. So the result does not
// depend on the order of the values.
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

// Recent keeps r if it is newer than what it has.
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

// Fill writes the merged value to out.
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
		out.Value = c.value // 0 if nobody has set it
	}
}
