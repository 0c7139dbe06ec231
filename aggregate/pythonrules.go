package aggregate

import (
	"math"

	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

func kindIsOwn(k pyfile.Kind) bool { return k.Type == metric.Gauge && k.Mode.Base() == metric.ModeAll }

// addPython adds one record's value, by client_python's rules: w has the bits of
// the value and, in the mostrecent modes, of its time.
func (a *accumulator) addPython(kind pyfile.Kind, part pyfile.Part, bucket int, w []uint64, from source) {
	v := math.Float64frombits(w[0])
	switch kind.Type {
	case metric.Counter:
		a.enter(0)
		a.sum.add(v)
	case metric.Summary:
		a.enter(0)
		if part == pyfile.Count {
			a.ints += whole(v)
		} else {
			a.sum.add(v)
		}
	case metric.Histogram:
		if part == pyfile.Bucket || v != 0 { // a process may be killed between the sum and the buckets of a new series
			a.enter(0)
		}
		switch {
		case part != pyfile.Bucket:
			a.sum.add(v)
		case bucket >= 0:
			a.counts[bucket] += whole(v)
		}
	case metric.Gauge:
		if kind.Mode.Base() != metric.ModeSum {
			a.pick.addPython(kind.Mode, w, from)
			if kind.Mode.Base() == metric.ModeMostRecent {
				a.recents = a.recents.add(recentOfPython(w), from.now)
			}
		} else if !kind.Mode.Live() || from.live {
			a.enter(0)
			a.sum.add(v)
			a.set = true
		}
	}
}

// addPython adds the value of a gauge that is not summed. One that nobody has set is 0
// there.
func (c *pick) addPython(mode metric.Mode, w []uint64, from source) {
	if mode.Live() && !from.live {
		return
	}
	v := math.Float64frombits(w[0])
	if mode.Base() != metric.ModeMostRecent {
		c.enter(0)
		c.gauge(mode.Base(), v)
		return
	}
	if r := recentOfPython(w); r.isSet() { // else not even 0 is shown
		c.enter(0)
		c.recent(r, from.now)
	}
}

// maxCount is a count that no process reaches. The sum of such ones, of any number of
// processes, is as whole makes it of each.
const maxCount = 1 << 40

// whole turns a float that counts into a whole number.
func whole(f float64) uint64 {
	if !(f > 0) {
		return 0
	}
	return uint64(math.Min(math.Round(f), 1<<63))
}

// recentOfPython returns what the words of a record of client_python say, whose times
// are in seconds: any float. Zero, a negative one and NaN say that it was never set.
func recentOfPython(w []uint64) recent {
	// Floats from far on, up to infinity, are as many as the numbers from 2^62 on
	// suffice for. So every such time has its place, in their order.
	const far = (1 << 62) / 1e9 // the year 2116
	r := recent{value: math.Float64frombits(w[0])}
	switch seconds := math.Float64frombits(w[1]); {
	case seconds >= far:
		r.nanos = 1<<62 + int64(w[1]-math.Float64bits(far))
	case seconds > 0:
		whole, part := math.Modf(seconds) // the product would be rounded
		r.nanos = max(1, int64(whole)*1e9+int64(part*1e9))
	}
	return r
}
