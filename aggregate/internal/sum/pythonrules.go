package sum

import (
	"math"

	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// KindIsOwn reports whether the series of that kind of file are each of one process alone.
func KindIsOwn(k pyfile.Kind) bool { return k.Type == metric.Gauge && k.Mode.Base() == metric.ModeAll }

// AddPython adds one record's value, by client_python's rules: w has the bits of
// the value and, in the mostrecent modes, of its time.
func (a *Accumulator) AddPython(kind pyfile.Kind, part pyfile.Part, bucket int, w []uint64, from Source) {
	v := math.Float64frombits(w[0])
	switch kind.Type {
	case metric.Counter:
		a.Enter(0)
		a.Sum.Add(v)
	case metric.Summary:
		a.Enter(0)
		if part == pyfile.Count {
			a.Ints += whole(v)
		} else {
			a.Sum.Add(v)
		}
	case metric.Histogram:
		if part == pyfile.Bucket || v != 0 { // a process may be killed between the sum and the buckets of a new series
			a.Enter(0)
		}
		switch {
		case part != pyfile.Bucket:
			a.Sum.Add(v)
		case bucket >= 0:
			a.Counts[bucket] += whole(v)
		}
	case metric.Gauge:
		if kind.Mode.Base() != metric.ModeSum {
			a.Pick.AddPython(kind.Mode, w, from)
			if kind.Mode.Base() == metric.ModeMostRecent {
				a.Recents = a.Recents.Add(RecentOfPython(w), from.Now)
			}
		} else if !kind.Mode.Live() || from.Live {
			a.Enter(0)
			a.Sum.Add(v)
			a.Set = true
		}
	}
}

// AddPython adds the value of a gauge that is not summed. One that nobody has set is 0
// there.
func (c *Pick) AddPython(mode metric.Mode, w []uint64, from Source) {
	if mode.Live() && !from.Live {
		return
	}
	v := math.Float64frombits(w[0])
	if mode.Base() != metric.ModeMostRecent {
		c.Enter(0)
		c.gauge(mode.Base(), v)
		return
	}
	if r := RecentOfPython(w); r.isSet() { // else not even 0 is shown
		c.Enter(0)
		c.Recent(r, from.Now)
	}
}

// MaxCount is a count that no process reaches. The sum of such ones, of any number of
// processes, is as whole makes it of each.
const MaxCount = 1 << 40

// whole turns a float that counts into a whole number.
func whole(f float64) uint64 {
	if !(f > 0) {
		return 0
	}
	return uint64(math.Min(math.Round(f), 1<<63))
}

// RecentOfPython returns what the words of a record of client_python say, whose times
// are in seconds: any float. Zero, a negative one and NaN say that it was never set.
func RecentOfPython(w []uint64) Recent {
	// Floats from far on, up to infinity, are as many as the numbers from 2^62 on
	// suffice for. So every such time has its place, in their order.
	const far = (1 << 62) / 1e9 // the year 2116
	r := Recent{Value: math.Float64frombits(w[0])}
	switch seconds := math.Float64frombits(w[1]); {
	case seconds >= far:
		r.Nanos = 1<<62 + int64(w[1]-math.Float64bits(far))
	case seconds > 0:
		whole, part := math.Modf(seconds) // the product would be rounded
		r.Nanos = max(1, int64(whole)*1e9+int64(part*1e9))
	}
	return r
}
