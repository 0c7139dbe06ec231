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

// note notes a part of a series. Of one that only files have that stay, it notes nothing.
func (l *lives) note(id string, r lifetime.Rule, p lifetime.Part, of int) {
	s := l.series[id]
	if s == nil {
		if of == ofOther {
			return
		}
		s = &lifeParts{rule: r}
		l.series[id] = s
	}
	s.parts, s.of = append(s.parts, p), append(s.of, of)
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
	if err := p.eachDead(func(i int, f *snapshot.File) { l.collect(f, i) }); err != nil {
		return err
	}
	for _, f := range stay {
		l.collect(f, ofOther)
	}
	if err := p.eachLivingPython(func(f *snapshot.File) { l.collect(f, ofOther) }); err != nil {
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
		if p.isEmpty(c) {
			continue
		}
		f, err := p.fileOf(c)
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
			labels := f.Series.AppendLabels(nil, j)
			if sum.NeverExpires(labels, "") {
				continue
			}
			var process mpm.Incarnation
			if n := f.Series.Process(j); n >= 0 {
				process = p.old.Processes[n].Incarnation
			}
			l.note(seriesID(f.Schema, labels, process), rule, l.storedPart(f, j), ofArchive)
		}
	}
}

// collect collects the parts of a file. Series without labels and overflow series never expire.
func (l *lives) collect(f *snapshot.File, of int) {
	dead := !f.Live
	if f.Python != nil {
		seen := map[string]bool{}
		f.EachPythonSeries(func(s *metric.Schema, labels metric.Labels) {
			rule, id := l.ruleOf(s), seriesID(s, labels, f.Header.Incarnation)
			if rule.TTL > 0 && !seen[id] && !sum.NeverExpires(labels, "") {
				seen[id] = true
				l.note(id, rule, lifetime.Part{Active: l.now, Dead: dead}, of)
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
			l.note(seriesID(s.Schema, labels, f.Header.Incarnation), rule, l.partOf(&s, gone, dead), of)
		}
	}
	each(&f.Series, false)
	each(&f.Removed, true)
}

func (l *lives) partOf(s *mpm.SeriesInfo, gone, dead bool) lifetime.Part {
	return lifetime.Part{Created: s.CreatedNanos(), Active: l.active(s.ActiveNanos()), Removed: s.RemovedNanos(), Gone: gone, Dead: dead}
}

func (l *lives) storedPart(f *mpm.StoredFamily, i int) lifetime.Part {
	return lifetime.Part{Created: f.Series.Created(i), Active: l.active(f.Series.Active(i)), Dead: true}
}

// keepOtherLives leaves the dead for a later pass that have parts which must wait.
func (p *pass) keepOtherLives() {
	l, wait := &p.lives, map[string]bool{}
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
				wait[p.dead[s.of[i]].name] = true // the archive does not know what is removed
			case !s.ended(part, l.now) && s.lives.Of(part).Created != first:
				wait[p.dead[s.of[i]].name] = true
			}
		}
	}
	p.dead = slices.DeleteFunc(p.dead, func(c candidate) bool { return wait[c.name] })
}

// ended reports whether the life of a part is over.
func (s *lifeParts) ended(p *lifetime.Part, now int64) bool { return s.lives.Of(p).End <= now }
