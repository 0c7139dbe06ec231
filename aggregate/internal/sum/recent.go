package sum

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// MaxAhead is how far a time may be ahead of the reader's clock and still be
// believed. Clocks that NTP keeps differ by far less, so that a value does not change
// sides from one scrape to the next. A clock that is wrong is mostly wrong by hours.
const MaxAhead = time.Minute

// isAhead reports whether a time is so far ahead of the reader's clock that the clock
// which it was taken from was wrong.
func isAhead(nanos, now int64) bool { return aheadBy(nanos, now, MaxAhead) }

func aheadBy(nanos, now int64, d time.Duration) bool {
	return nanos > now && uint64(nanos)-uint64(now) > uint64(d)
}

// CompareTimes orders times by which of them is newer to a reader whose clock says now.
// It is the one rule for all that is decided by a time: the values of the mostrecent
// modes and exemplars. A time from a clock that was wrong is older than any other, else
// it would hide all true values until it has come. Of two such times the later is newer:
// processes that began while the clock of a machine was wrong stay wrong by as much.
func CompareTimes(a, b, now int64) int {
	return cmp.Or(compareBool(isAhead(b, now), isAhead(a, now)), cmp.Compare(a, b))
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

// Recents are the values of a series that the archive keeps, ascending by time: as many
// as it takes for readers to choose as they would among the files.
type Recents []Recent

// MaxRecents is how many values of a series the archive keeps at most.
const MaxRecents = 16

// Add adds a value, by a compactor whose clock says now.
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

// KeepNewest drops what no reader needs of things that are in ascending order of their
// times: to all whose clocks say now or later, the newest of the times that have come
// counts, and each of the others perhaps one day. Clocks that are up to maxAhead
// slow believe the same times. It keeps at most so many: those that come first, and
// the newest, which counts where there is no time to believe.
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

// fromNewest drops what is older than the newest that is ahead by no more than d.
func fromNewest[T any](all []T, nanos func(*T) int64, now int64, d time.Duration) []T {
	first := 0
	for first+1 < len(all) && !aheadBy(nanos(&all[first+1]), now, d) {
		first++
	}
	return slices.Delete(all, 0, first)
}
