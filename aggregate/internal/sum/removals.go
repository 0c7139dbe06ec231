package sum

import "math"

// Removals tell which parts of a series count, where processes have removed it.
// A series lives while any living process has it: the part of a process that
// has removed it still counts meanwhile, so that a counter does not fall while
// one worker after the other removes it. Once none has it, its life is over:
// all parts of that life leave the view, those of dead processes and of the
// archive too, and a series made later begins again (docs/lifecycle.md, "Removing
// a series").
type Removals struct {
	removed []interval
	Living  int64 // when the first of the living processes that have it made it
}

// interval is from when a process made a series until it removed it, in
// nanoseconds since 1970.
type interval struct{ created, removed int64 }

// NewRemovals returns the removals of a series that nobody has removed yet.
func NewRemovals() *Removals { return &Removals{Living: math.MaxInt64} }

// Add notes a removal. One after the listing of the directory is none yet: a
// process that is not in the list may have made the series before it. Then it reports
// false: a later listing may say more.
func (l *Removals) Add(created, removed, listed int64) (known bool) {
	if removed >= listed {
		l.Living = min(l.Living, created)
		return false
	}
	l.removed = append(l.removed, interval{created, removed})
	return true
}

// Always is the since of a series whose every part counts.
const Always = math.MinInt64

// Since returns when the last life ended: parts that were made before do not
// count.
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

// Counts reports whether the part of a series that was made and removed then counts, if
// the last life of the series ended at since; removed is 0 if the process still has it.
func Counts(created, removed, since int64) bool {
	return created >= since && (removed == 0 || removed > since)
}
