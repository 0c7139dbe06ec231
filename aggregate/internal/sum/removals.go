package sum

import "math"

// Removals say which parts of a series count after processes have removed it. A series
// lives while any living process has it. Until then the part of a process that has removed
// it still counts, so a counter does not fall while workers remove it one by one. Once no
// living process has it, its life is over: all parts of that life leave the view, also
// those of dead processes and of the archive. A series that is made later begins again
// (docs/lifecycle.md, "Removing a series").
type Removals struct {
	removed []interval
	Living  int64 // created time of the oldest part that a living process has
}

// interval is the time in which a process had a series, in nanoseconds since 1970.
type interval struct{ created, removed int64 }

// NewRemovals returns the removals of a series that nobody has removed yet.
func NewRemovals() *Removals { return &Removals{Living: math.MaxInt64} }

// Add notes that a process made and removed its part then. A removal after the directory was
// listed does not count yet, because a process that is not in the list may have made the
// series before it. Then Add returns false, and the next listing decides.
func (l *Removals) Add(created, removed, listed int64) (known bool) {
	if removed >= listed {
		l.Living = min(l.Living, created)
		return false
	}
	l.removed = append(l.removed, interval{created, removed})
	return true
}

// Always is what Since returns if every part counts.
const Always = math.MinInt64

// Since returns when the last life ended. Parts that were made before that do not count.
func (l *Removals) Since() int64 {
	end := int64(Always)
	for _, i := range l.removed {
		if i.removed > end && !l.livedAt(i.removed) {
			end = i.removed
		}
	}
	return end
}

// livedAt reports whether a process had the series right after that moment.
func (l *Removals) livedAt(t int64) bool {
	if l.Living < t {
		return true
	}
	for _, i := range l.removed {
		if i.created < t && t < i.removed {
			return true
		}
	}
	return false
}

// Counts reports whether a part that was made and removed then counts, if the last life of
// its series ended at since. removed is 0 if the process still has the part.
func Counts(created, removed, since int64) bool {
	return created >= since && (removed == 0 || removed > since)
}
