package aggregate

import (
	"math"

	"github.com/multiprom/multiprom/metric"
)

// lives tells which parts of a series count, where processes have removed it.
// A series lives while any living process has it: the part of a process that
// has removed it still counts meanwhile, so that a counter does not fall while
// one worker after the other removes it. Once none has it, its life is over:
// all parts of that life leave the view, those of dead processes and of the
// archive too, and a series made later begins anew (docs/lifecycle.md, "Removing
// a series").
type lives struct {
	removed []interval
	living  int64 // when the first of the living processes that have it made it
	end     int64 // see since, once all is known
}

// interval is from when a process made a series until it removed it, in
// nanoseconds since 1970.
type interval struct{ created, removed int64 }

func newLives() *lives { return &lives{living: math.MaxInt64, end: always} }

// add notes a removal. One behind the listing of the directory is none yet: a
// process that is not in the list may have made the series before it. Then it reports
// false: a later listing may say more.
func (l *lives) add(created, removed, listed int64) (known bool) {
	if removed >= listed {
		l.living = min(l.living, created)
		return false
	}
	l.removed = append(l.removed, interval{created, removed})
	return true
}

// always is the since of a series whose every part counts.
const always = math.MinInt64

// since returns when the last life ended: parts that were made before do not
// count.
func (l *lives) since() int64 {
	end := int64(always)
	for _, i := range l.removed {
		if i.removed > end && !l.livedAt(i.removed) {
			end = i.removed
		}
	}
	return end
}

// livedAt reports whether a process had the series right after that moment.
func (l *lives) livedAt(t int64) bool {
	if l.living < t {
		return true
	}
	for _, i := range l.removed {
		if i.created < t && t < i.removed {
			return true
		}
	}
	return false
}

// shared reports whether a series of that definition is of all processes
// together. One of a single process, or an info, goes when its process removes it.
func shared(s *metric.Schema) bool { return !perProcess(s) && s.Type != metric.Info }

// cumulative reports whether values of that type only grow, so that a removed
// part has to count on.
func cumulative(s *metric.Schema) bool {
	return s.Type == metric.Counter || s.Type == metric.Histogram || s.Type == metric.Summary
}

// endLives decides for every series that somebody has removed which of its
// parts count.
func (t *table) endLives(files []*file, listed int64) {
	if t.livesKnown {
		return
	}
	t.livesKnown = true
	for _, s := range t.ended {
		delete(s.family.lives, s.number)
		s.family.dirty = s.family.dirty || s.family.ending
		s.family.ending = false
	}
	t.ended = t.ended[:0]
	for _, f := range files {
		for i := range f.removedSteps {
			st := &f.removedSteps[i]
			for j, n := range st.numbers {
				l := st.family.lives[n]
				if l == nil {
					l = newLives()
					st.family.setLives(n, l)
					t.ended = append(t.ended, slot{st.family, n})
				}
				if removed := f.removed.RemovedNanos(st.series + j); !l.add(f.removed.CreatedNanos(st.series+j), removed, listed) {
					t.livesKnown = false
				}
			}
		}
	}
	if len(t.ended) == 0 {
		return
	}
	for _, f := range files {
		if f.live {
			t.noteLiving(f)
		}
	}
	for _, s := range t.ended {
		l := s.family.lives[s.number]
		l.end = l.since()
	}
	for _, f := range files {
		f.countRemoved()
	}
	t.findEldest(files) // of what has left
	for _, s := range t.ended {
		l := s.family.lives[s.number]
		if created := s.family.dense.created; int(s.number) < len(created) && created[s.number] < l.end {
			s.family.ending = true
		}
	}
}

func (f *family) setLives(n int32, l *lives) {
	if f.lives == nil {
		f.lives = map[int32]*lives{}
	}
	f.lives[n] = l
}

// noteLiving notes which of the series that somebody has removed a living process has.
func (t *table) noteLiving(f *file) {
	if f.python != nil {
		t.notePython(f)
		return
	}
	for i := range f.runs {
		if r := &f.runs[i]; len(r.family.lives) > 0 {
			r.each(f, r.family.noteLiving)
		}
	}
	for i := range f.steps {
		if st := &f.steps[i]; len(st.family.lives) > 0 {
			for j, n := range st.numbers {
				st.family.noteLiving(n, f.series.CreatedNanos(st.series+j))
			}
		}
	}
}

func (f *family) noteLiving(n int32, created int64) {
	if l := f.lives[n]; l != nil {
		l.living = min(l.living, created)
	}
}
