package compact

import (
	"slices"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// lives is what a pass knows of series with a time to live (TTL) that the archive or a dead
// process has. The rule is that of package lifetime. A life that has ended leaves the archive
// or does not come into it. The archive has one life of a series: parts of another one stay in
// their files, and so does a part that was removed as long as it holds its life.
type lives struct {
	now    int64 // by the compactor's clock, before it looked at anything
	ttl    map[string]time.Duration
	offers map[string][]*sum.Offer
	series map[string]*lifeParts // by seriesID
}

// lifeParts are the parts of a series.
type lifeParts struct {
	rule  lifetime.Rule
	parts []lifetime.Part
	of    []int // by part: number of the candidate, or one of these
	lives lifetime.Lives
}

const (
	ofArchive = -1 // the archive's
	ofOther   = -2 // of a file that stays
)

// seriesID identifies a series among all others. One that belongs to a process has its
// incarnation.
func seriesID(s *metric.Schema, labels metric.Labels, process mpm.Incarnation) string {
	id := sum.SeriesKey(s, labels)
	if sum.PerProcess(s) {
		id += string(process[:])
	}
	return id
}

// ruleOf returns the rule of a family: that of readers.
func (l *lives) ruleOf(s *metric.Schema) lifetime.Rule {
	d := sum.TTLOf(l.ttl, s)
	for _, o := range l.offers[s.Name] {
		if sum.Compatible(o.Schema, s) {
			d = max(d, o.TTL())
		}
	}
	return lifetime.Of(d)
}

// active returns when a part was active last. One that does not say it was just now.
func (l *lives) active(nanos int64) int64 {
	if nanos == 0 {
		return l.now
	}
	return nanos
}

func (l *lives) add(id string, p lifetime.Part, of int) {
	if s := l.series[id]; s != nil {
		s.parts, s.of = append(s.parts, p), append(s.of, of)
	}
}

// want begins to collect the parts of a series.
func (l *lives) want(id string, r lifetime.Rule) {
	if l.series[id] == nil {
		l.series[id] = &lifeParts{rule: r}
	}
}

// lookAtLives finds out which parts of the archive and of the dead are of lives that have ended,
// and leaves those of the dead for a later pass that must wait. If neither the archive nor
// the dead have series with a TTL, it reads nothing.
func (p *pass) lookAtLives() error {
	l := &p.lives
	l.now, l.ttl, l.offers, l.series = p.clock, p.opts.TTL, map[string][]*sum.Offer{}, map[string]*lifeParts{}
	if !p.mayExpire() {
		return nil
	}
	for i := range p.old.Families {
		sum.AddOffer(l.offers, sum.StoredOffer(&p.old.Families[i]))
	}
	offer := func(f *snapshot.File) {
		for _, s := range f.Families {
			sum.AddOffer(l.offers, f.Offer(s))
		}
	}
	if err := p.eachDead(func(_ int, f *snapshot.File) { offer(f) }); err != nil {
		return err
	}
	stay := slices.Concat(p.living, p.others)
	for _, f := range stay {
		if err := f.Read(); err != nil {
			return err
		}
		if f.Stale || f.Err != nil {
			p.wait() // nobody knows what it has
			return nil
		}
		offer(f)
	}
	p.collectStored()
	if err := p.eachDead(func(i int, f *snapshot.File) { l.collect(f, i, l.want) }); err != nil {
		return err
	}
	for _, f := range stay {
		l.collect(f, ofOther, func(string, lifetime.Rule) {})
	}
	if err := p.eachLivingPython(func(f *snapshot.File) { l.collect(f, ofOther, func(string, lifetime.Rule) {}) }); err != nil {
		return err
	}
	p.keepOtherLives()
	return nil
}

// mayExpire reports whether the archive or a dead process has series with a TTL.
func (p *pass) mayExpire() bool {
	stored := func(f mpm.StoredFamily) bool { return f.Series.Len() > 0 && (f.Schema.TTL > 0 || f.Series.Timed) }
	return len(p.opts.TTL) > 0 || slices.ContainsFunc(p.old.Families, stored) ||
		slices.ContainsFunc(p.dead, func(c candidate) bool { return c.expires })
}

// muchExpired reports whether so much of the archive may be over that it is worth writing a new
// one although hardly anybody has died. Nobody sees what is over.
func (p *pass) muchExpired() bool {
	all, over := 0, 0
	for i := range p.old.Families {
		f := &p.old.Families[i]
		all += f.Series.Len()
		rule := lifetime.Of(max(f.Schema.TTL, sum.TTLOf(p.opts.TTL, f.Schema)))
		if rule.TTL == 0 {
			continue
		}
		for j := range f.Series.Len() {
			if active := f.Series.Active(j); active != 0 && active+rule.Lasts() <= p.clock {
				over++
			}
		}
	}
	return isMuch(over, all)
}

func isMuch(over, all int) bool { return over > all/8 }

// eachDead calls fn with every file of the dead.
func (p *pass) eachDead(fn func(i int, f *snapshot.File)) error {
	for i, c := range p.dead {
		f, err := c.file, error(nil)
		switch {
		case c.python != "" && p.isEmpty(c):
			continue
		case c.python != "":
			f, err = p.openPython(c.name)
		case f == nil:
			f, err = p.open(c.name)
		}
		if snapshot.IsTransient(err) {
			return err
		}
		if err != nil {
			continue // Add finds it again, and leaves the file alone
		}
		fn(i, f)
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// collectStored collects the parts of the archive.
func (p *pass) collectStored() {
	l := &p.lives
	for i := range p.old.Families {
		f := &p.old.Families[i]
		rule := l.ruleOf(f.Schema)
		if rule.TTL == 0 {
			continue
		}
		for j := range f.Series.Len() {
			if sum.NeverExpires(f.Series.AppendLabels(nil, j), "") {
				continue
			}
			id := storedID(p.old, f, j)
			l.want(id, rule)
			l.add(id, lifetime.Part{Created: f.Series.Created(j), Active: l.active(f.Series.Active(j)), Dead: true}, ofArchive)
		}
	}
}

// storedID is seriesID of series i of a family of the archive.
func storedID(a *mpm.Archive, f *mpm.StoredFamily, i int) string {
	var process mpm.Incarnation
	if n := f.Series.Process(i); n >= 0 {
		process = a.Processes[n].Incarnation
	}
	return seriesID(f.Schema, f.Series.AppendLabels(nil, i), process)
}

// collect collects the parts of a file. Series without labels and overflow series never expire.
func (l *lives) collect(f *snapshot.File, of int, want func(string, lifetime.Rule)) {
	dead := !f.Live
	if f.Python != nil {
		seen := map[string]bool{}
		f.EachPythonSeries(func(s *metric.Schema, labels metric.Labels) {
			rule, id := l.ruleOf(s), seriesID(s, labels, f.Header.Incarnation)
			if rule.TTL > 0 && !seen[id] && !sum.NeverExpires(labels, "") {
				seen[id] = true
				want(id, rule)
				l.add(id, lifetime.Part{Active: l.now, Dead: dead}, of)
			}
		})
		return
	}
	rules := map[*metric.Schema]lifetime.Rule{}
	for _, s := range f.Families {
		rules[s] = l.ruleOf(s)
	}
	each := func(list *mpm.SeriesList, gone bool) {
		for i := range list.Len() {
			rule := rules[list.Schema(i)]
			if rule.TTL == 0 || !list.Has(i) || dead && sum.IsLive(list.Schema(i)) || gone && !sum.Shared(list.Schema(i)) {
				continue
			}
			s := list.At(i)
			labels := s.Labels()
			if sum.NeverExpires(labels, "") {
				continue
			}
			id := seriesID(s.Schema, labels, f.Header.Incarnation)
			want(id, rule)
			l.add(id, l.partOf(&s, gone, dead), of)
		}
	}
	each(&f.Series, false)
	each(&f.Removed, true)
}

func (l *lives) partOf(s *mpm.SeriesInfo, gone, dead bool) lifetime.Part {
	return lifetime.Part{Created: s.CreatedNanos(), Active: l.active(s.ActiveNanos()), Removed: s.RemovedNanos(), Gone: gone, Dead: dead}
}

// keepOtherLives leaves the dead for a later pass that have parts which must wait.
func (p *pass) keepOtherLives() {
	l, wait := &p.lives, map[int]bool{}
	for id, s := range l.series {
		delete(p.ended, id) // its removals say less than its lives
		s.lives.Divide(s.rule, s.parts)
		first, stored := int64(lifetime.Forever), false
		for i := range s.parts {
			if s.of[i] == ofOther || s.ended(&s.parts[i], l.now) {
				continue
			}
			if of := s.lives.Of(&s.parts[i]); s.of[i] == ofArchive {
				first, stored = of.Created, true
			} else if !stored {
				first = min(first, of.Created)
			}
		}
		for i := range s.parts {
			part := &s.parts[i]
			switch {
			case s.of[i] < 0:
			case part.Gone && part.Removed+s.rule.Holds() > l.now:
				wait[s.of[i]] = true // the archive does not know what is removed
			case !s.ended(part, l.now) && s.lives.Of(part).Created != first:
				wait[s.of[i]] = true
			}
		}
	}
	kept := p.dead[:0]
	for i, c := range p.dead {
		if !wait[i] {
			kept = append(kept, c)
		}
	}
	p.dead = kept
}

// ended reports whether the life of a part is over.
func (s *lifeParts) ended(p *lifetime.Part, now int64) bool { return s.lives.Of(p).End <= now }

// some reports whether the pass knows the parts of any series.
func (l *lives) some() bool { return len(l.series) > 0 }

// has reports whether it knows those of this one.
func (l *lives) has(id string) bool { return l.series[id] != nil }

// verdict says whether a part stays, and when it was active last as far as the archive needs to
// know. Parts of families without a TTL stay.
func (l *lives) verdict(id string, p lifetime.Part) (active int64, stays bool) {
	s := l.series[id]
	if s == nil {
		return p.Active, true
	}
	return s.rule.ActiveOf(&p), !s.ended(&p, l.now)
}
