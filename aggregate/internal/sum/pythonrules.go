package sum

import (
	"math"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// KindIsOwn reports whether each series of that kind of file belongs to one process alone.
func KindIsOwn(k pyfile.Kind) bool { return k.Type == metric.Gauge && k.Mode.Base() == metric.ModeAll }

// AddPython adds one record's value of a series of that schema, by client_python's rules: w
// has the bits of the value and, in the mostrecent modes, of its time.
func (a *Accumulator) AddPython(schema *metric.Schema, part pyfile.Part, bucket int, w []uint64, from Source) {
	v := math.Float64frombits(w[0])
	switch schema.Type {
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
		if words, there := GaugeOfPython(schema, w); there {
			a.Add(schema, words[:], nil, 0, from)
		}
	}
}

// GaugeOfPython returns the words that a file of ours would have for a record of a gauge. In
// client_python's files, a gauge that nobody has set is 0. In the mostrecent modes, there is
// none: it is not shown at all.
func GaugeOfPython(schema *metric.Schema, w []uint64) (words [2]uint64, there bool) {
	words[0] = w[0]
	if words[0] == mpm.UnsetBits {
		words[0] = math.Float64bits(math.NaN())
	}
	if !schema.Timed() {
		return words, true
	}
	r := RecentOfPython(w)
	words[1] = uint64(r.Nanos)
	return words, r.isSet()
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
