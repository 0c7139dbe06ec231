package lifetime

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Rule has the times that the rule of lives goes by, in nanoseconds. The zero value is the
// rule of series that never expire, of which there are no lives.
type Rule struct {
	TTL   int64 // how long a series is shown after it was active last
	Guard int64 // what a janitor may need for a run, and a process to publish a new series
}

// Of returns the rule of a time to live. 0 and less is none.
func Of(d time.Duration) Rule {
	if d <= 0 {
		return Rule{}
	}
	return Rule{TTL: int64(d), Guard: int64(d) / 8}
}

// Period is how often a janitor looks for series that have changed.
func (r Rule) Period() time.Duration { return time.Duration(r.TTL / 4) }

// Lasts is for how long after it was active last a part lasts, if nobody removes it.
func (r Rule) Lasts() int64 { return r.TTL + r.TTL/2 + r.Guard }

// Holds is for how long a part that was deleted holds its life. Updates of other parts that
// were shown with it are not covered by their active times yet, and a janitor may still
// store what it has decided.
func (r Rule) Holds() int64 { return r.TTL/2 + r.Guard }

// Part is a part of a series. All times are in nanoseconds since 1970.
type Part struct {
	Created int64
	Active  int64 // when its janitor has last seen it change, or Created
	Removed int64 // when it was removed. A part that is Gone without it is just being renewed
	Gone    bool  // its process has deleted it, or it has expired
	Dead    bool  // its process is dead; the archive's is
}

// span is how long a part lasts, from its beginning until before its end. A part that begins
// at join or later is of another life.
type span struct {
	from, join, to int64
	gone, dead     bool
}

// span returns how long a part lasts: no time at all if it is being renewed. What is made at
// or after a removal is another life. And a part must begin a guard before another one ends
// to be of its life: who makes a series looks at the clock first, and may publish it when
// others have seen the life end.
//
// Created is after Active only while a new life begins, or if the clock was set back. Then the
// part begins at Active, as if it were still of the life before.
func (r Rule) span(p *Part) span {
	end := after(p.Active, r.Lasts())
	s := span{min(p.Created, p.Active), end - r.Guard, end, p.Gone, p.Dead}
	switch {
	case p.Gone && p.Removed == 0:
		return span{}
	case p.Gone:
		s.join, s.to = min(s.join, p.Removed), min(end, after(p.Removed, r.Holds()))
	}
	return s
}

// ActiveOf returns when a part was active last, as far as its life lasts. A part that is removed
// may end earlier than one that was active then.
func (r Rule) ActiveOf(p *Part) int64 {
	s := r.span(p)
	return min(p.Active, s.to-r.Lasts())
}

func (s *span) isEmpty() bool { return s.from >= s.to }

// after adds a duration to a time, which may be any that a damaged file has.
func after(t, d int64) int64 {
	if t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}

// Forever is a time that never comes.
const Forever = math.MaxInt64

// Life is a stretch in which a series exists, over all processes.
type Life struct {
	Created int64 // of its first part
	Before  int64 // parts that begin from then on are of a later life
	End     int64 // E: its last part ends
	Newest  int64 // when one of its parts was active last
	Whole   bool  // all parts of the series are of it
}

// Has reports whether a part is of the life.
func (l *Life) Has(r Rule, p *Part) bool {
	if l.Whole {
		return true
	}
	s := r.span(p)
	return l.Created <= s.from && s.from < l.Before && !s.isEmpty()
}

// Lives are the lives of one series. The zero value has none. It is not safe for concurrent
// use.
type Lives struct {
	rule  Rule
	spans []span
	empty int // parts that last no time
	lives []life
}

// life is a life, and where its spans are.
type life struct {
	Life
	first, n int
}

// Divide finds the lives of a series that has these parts, and forgets those that it had.
func (l *Lives) Divide(r Rule, parts []Part) {
	l.rule, l.spans, l.lives, l.empty = r, l.spans[:0], l.lives[:0], 0
	for i := range parts {
		if s := r.span(&parts[i]); s.isEmpty() {
			l.empty++
		} else {
			l.spans = append(l.spans, s)
		}
	}
	slices.SortFunc(l.spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.join, a.join)) })
	join := int64(math.MinInt64)
	for i := range l.spans {
		s := &l.spans[i]
		if s.from >= join {
			if n := len(l.lives); n > 0 {
				l.lives[n-1].Before = s.from
			}
			l.lives = append(l.lives, life{Life: Life{Created: s.from, Before: Forever, Newest: math.MinInt64}, first: i})
			join = math.MinInt64
		}
		last := &l.lives[len(l.lives)-1]
		join, last.End, last.n = max(join, s.join), max(last.End, s.to), last.n+1
		last.Newest = max(last.Newest, s.to-r.Lasts())
	}
	if len(l.lives) == 1 && l.empty == 0 {
		l.lives[0].Whole = true
	}
}

// Of returns the life that a part is in. One that lasts no time is in none: the result ends
// at once.
func (l *Lives) Of(p *Part) Life {
	for i := range l.lives {
		if v := &l.lives[i].Life; v.Has(l.rule, p) {
			return *v
		}
	}
	return Life{Created: p.Created, Before: p.Created, Newest: math.MinInt64, End: math.MinInt64}
}

// View is what a reader shows of a series.
type View struct {
	Life
	Shown bool  // else no part counts
	Doubt bool  // it was to be shown when the reader began, and was not any more when it was done
	Next  int64 // until then nothing changes, unless a part does
}

// Look returns what is shown to a reader that has read all parts between now and read: of
// the lives that have not ended the first one, unless nobody is in it any more. A life that
// begins within the guard of another one's end waits, hidden.
//
// An update that was made after a life has ended belongs to the next one. A reader may have
// read it as part of the life before, if that was over when it was done. So it shows no life
// whose time has passed meanwhile. It reads again.
func (l *Lives) Look(now, read int64) (v View) {
	v.Next = Forever
	chosen := -1
	for i := range l.lives {
		o := &l.lives[i]
		if now >= o.End {
			continue
		}
		closed := l.isClosed(o, now)
		if chosen < 0 || closed || l.isClosed(&l.lives[chosen], now) {
			chosen = i
		}
		if !closed {
			break
		}
	}
	for i := range l.spans {
		if to := l.spans[i].to; to > read {
			v.Next = min(v.Next, to)
		}
	}
	if chosen < 0 {
		return v
	}
	v.Life = l.lives[chosen].Life
	until := after(v.Newest, l.rule.TTL)
	v.Shown, v.Doubt = read < until, now < until && until <= read
	switch {
	case v.Shown && v.Whole: // there is no other life
		v.Next = until
	case v.Shown:
		v.Next = min(v.Next, until)
	}
	return v
}

// IsOver reports whether every part has ended by now.
func (l *Lives) IsOver(now int64) bool {
	return !slices.ContainsFunc(l.spans, func(s span) bool { return s.to > now })
}

// isClosed reports whether nobody is in a life any more: its parts are removed, or of the
// dead and over.
func (l *Lives) isClosed(o *life, now int64) bool {
	for i := range l.spans[o.first:][:o.n] {
		if s := &l.spans[o.first+i]; !s.gone && (!s.dead || now < s.to) {
			return false
		}
	}
	return true
}
