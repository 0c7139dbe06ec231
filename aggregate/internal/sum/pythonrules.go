package sum

import (
	"math"

	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// KindIsOwn reports whether each series of that kind of file belongs to one process alone.
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
		if part == pyfile.Bucket || v != 0 { // a process may be killed after it wrote the sum of a new series, before the buckets
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

// AddPython merges the value of a gauge that is not summed. In client_python's files, a
// gauge that nobody has set is 0.
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
	if r := RecentOfPython(w); r.isSet() { // otherwise the series is not shown at all
		c.Enter(0)
		c.Recent(r, from.Now)
	}
}

// MaxCount is larger than the count of any real process. Whole counts up to MaxCount add up
// exactly as floats, whatever the number of processes.
const MaxCount = 1 << 40

// whole rounds a count that is a float.
func whole(f float64) uint64 {
	if !(f > 0) {
		return 0
	}
	return uint64(math.Min(math.Round(f), 1<<63))
}

// RecentOfPython returns what the words of a record of client_python say. Their times are
// seconds, and may be any float. Zero, a negative time and NaN mean that it was never set.
func RecentOfPython(w []uint64) Recent {
	// Times from far on do not fit. They are mapped in their order to the numbers from
	// 2^62 on, of which there are enough for all floats up to infinity.
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
