package sum

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// MaxAhead is how far a time may be ahead of the reader's clock and still be trusted.
// Clocks that run NTP differ by far less. A clock that is wrong is mostly wrong by hours.
const MaxAhead = time.Minute

// aheadBy reports whether a time is ahead of the reader's clock by more than d. If that is
// MaxAhead, it must be from a clock that was wrong.
func aheadBy(nanos, now int64, d time.Duration) bool {
	return nanos > now && uint64(nanos)-uint64(now) > uint64(d)
}

// CompareTimes orders times by which is newer for a reader whose clock says now. It is the
// one rule for all that a time decides: values of the mostrecent modes, and exemplars. A
// time from a wrong clock is older than any other; otherwise it would hide all true values
// until it arrives. Of two such times the later is newer (docs/lifecycle.md, "A clock that
// is wrong").
func CompareTimes(a, b, now int64) int {
	return cmp.Or(compareBool(aheadBy(b, now, MaxAhead), aheadBy(a, now, MaxAhead)), cmp.Compare(a, b))
}

// Recent is a value of one of the mostrecent modes.
type Recent struct {
	Value float64
	Nanos int64 // when it was set, since 1970; 0 or less for never
}

// recentOf returns what the words of a file's series say.
func recentOf(w []uint64) Recent {
	return Recent{math.Float64frombits(w[mpm.CellGauge]), int64(w[1])}
}

func (r Recent) isSet() bool { return r.Nanos > 0 }

// beats reports whether a reader whose clock says now takes r and not o. Of two
// values of one time it takes the larger.
func (r Recent) beats(o Recent, now int64) bool {
	c := CompareTimes(r.Nanos, o.Nanos, now)
	return r.isSet() && (!o.isSet() || c > 0 || c == 0 && r.isLarger(o))
}

func (r Recent) isLarger(o Recent) bool { return wins(metric.ModeMax, r.Value, o.Value) }

// Recents are the values of a series that the archive keeps, in ascending order of time:
// enough of them for readers to choose as they would from the files.
type Recents []Recent

// MaxRecents is how many values of a series the archive keeps at most.
const MaxRecents = 16

// Add adds a value, for a compactor whose clock says now.
func (rs Recents) Add(r Recent, now int64) Recents {
	if !r.isSet() {
		return rs
	}
	i, found := slices.BinarySearchFunc(rs, r, func(a, b Recent) int { return cmp.Compare(a.Nanos, b.Nanos) })
	switch {
	case !found:
		rs = slices.Insert(rs, i, r)
	case r.isLarger(rs[i]):
		rs[i] = r
	}
	return KeepNewest(rs, func(r *Recent) int64 { return r.Nanos }, now, MaxRecents)
}

// KeepNewest drops what no reader will choose. all is in ascending order of time. It keeps
// the newest time that has arrived by now, and all later ones, each of which may count once
// it arrives. If these are more than most, it drops those
// that count only for clocks that are slow by up to MaxAhead. If these are still too many,
// it keeps those that arrive first, and the last one, which counts if no time is trusted.
func KeepNewest[T any](all []T, nanos func(*T) int64, now int64, most int) []T {
	all = fromNewest(all, nanos, now, 0)
	if len(all) > most {
		all = fromNewest(all, nanos, now, MaxAhead)
	}
	if len(all) > most {
		all = slices.Delete(all, most-1, len(all)-1)
	}
	return all
}

// fromNewest drops all before the newest time that is ahead by no more than d.
func fromNewest[T any](all []T, nanos func(*T) int64, now int64, d time.Duration) []T {
	first := 0
	for first+1 < len(all) && !aheadBy(nanos(&all[first+1]), now, d) {
		first++
	}
	return slices.Delete(all, 0, first)
}
