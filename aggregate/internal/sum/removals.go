package sum

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/internal/lifetime"
)

// Always is what LastEnd returns if every part counts.
const Always = math.MinInt64

// LastEnd returns when the last life of a series ended that never expires, of which processes
// have these parts. Parts that were made before that do not count.
//
// A series lives while any living process has it. Until then the part of a process that has
// removed it still counts, so a counter does not fall while workers remove it one by one. Once
// no living process has it, its life is over: all parts of that life leave the view, also
// those of dead processes and of the archive. A series that is made later begins again
// (docs/lifecycle.md, "Removing a series").
//
// A removal after the directory was listed does not count yet, because a process that is not
// in the list may have made the series before it. Then later is true, and the next listing
// decides.
func LastEnd(parts []lifetime.Part, listed int64) (end int64, later bool) {
	end = Always
	for i := range parts {
		switch p := &parts[i]; {
		case !p.Gone:
		case p.Removed >= listed:
			later = true
		case p.Removed > end && !livedAt(parts, p.Removed):
			end = p.Removed
		}
	}
	return end, later
}

// livedAt reports whether a process had the series right after that moment.
func livedAt(parts []lifetime.Part, t int64) bool {
	return slices.ContainsFunc(parts, func(p lifetime.Part) bool {
		return p.Created < t && (p.Gone && t < p.Removed || !p.Gone && !p.Dead)
	})
}

// Counts reports whether a part that was made and removed then counts, if the last life of
// its series ended at since. removed is 0 if the process still has the part.
func Counts(created, removed, since int64) bool {
	return created >= since && (removed == 0 || removed > since)
}
