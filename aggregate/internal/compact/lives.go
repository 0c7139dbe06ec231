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

// lives is what a pass knows of series whose life may be over: those that some process has
// removed, and those with a time to live (TTL) that the archive or a dead process has. The
// rule of the former is sum.LastEnd, and that of the latter is package lifetime. A life that
// has ended leaves the archive or does not come into it. The archive has one life of a series:
// parts of another one stay in their files, and so does a part that was removed as long as it
// holds its life.
type lives struct {
	now     int64 // by the compactor's clock, before it looked at anything
	listed  int64 // right before the directory was listed, by the system's clock
	ttl     map[string]time.Duration
	offers  map[string][]*sum.Offer
	removed bool                  // some process has removed a series that never expires
	series  map[string]*lifeParts // by seriesID
}

// lifeParts are the parts of a series.
type lifeParts struct {
	rule  lifetime.Rule // zero if it never expires
	parts []lifetime.Part
	of    []int // by part: number of the candidate, or one of these
	lives lifetime.Lives
	since int64 // of one that never expires: when the last life ended
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

// of returns what is known of a series, or nil.
func (l *lives) of(s *metric.Schema, labels metric.Labels, process mpm.Incarnation) *lifeParts {
	if len(l.series) == 0 {
		return nil
	}
	return l.series[seriesID(s, labels, process)]
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

// noteRemovals notes which series that never expire the file's process has removed, and
// reports whether there are any.
func (l *lives) noteRemovals(f *snapshot.File) (some bool) {
	for i := range f.Removed.Len() {
		if !f.Removed.Has(i) {
			continue // it has become free while it was read
		}
		if s := f.Removed.At(i); sum.Shared(s.Schema) && !expires(s.Schema) {
			l.series[sum.SeriesKey(s.Schema, s.Labels())] = &lifeParts{since: sum.Always}
			some, l.removed = true, true
		}
	}
	return some
}

// note notes a part of a series. Of one that nobody has removed, and that never expires or
// only files have that stay, it notes nothing. Series without labels and overflow series never
// expire.
func (l *lives) note(s *metric.Schema, labels metric.Labels, process mpm.Incarnation, r lifetime.Rule, p lifetime.Part, of int) {
	if sum.NeverExpires(labels, "") {
		r = lifetime.Rule{}
	}
	id := seriesID(s, labels, process)
	known := l.series[id]
	if known == nil {
		if of == ofOther || r.TTL == 0 {
			return
		}
		known = &lifeParts{since: sum.Always}
		l.series[id] = known
	}
	if r.TTL == 0 && !p.Gone {
		if of != ofOther {
			return
		}
		// Of the parts that stay, only the eldest of the living and of the others matter.
		for i := range known.parts {
			if old := &known.parts[i]; !old.Gone && old.Dead == p.Dead {
				old.Created = min(old.Created, p.Created)
				return
			}
		}
	}
	known.rule, known.parts, known.of = r, append(known.parts, p), append(known.of, of)
}

// lookAtLives finds out which parts of the archive and of the dead are of lives that have ended,
// and leaves those of the dead for a later pass that must wait. If nobody has ever removed a
// series, and neither the archive nor the dead have series with a TTL, it reads nothing.
func (p *pass) lookAtLives() error {
	l, expire := &p.lives, p.mayExpire()
	if len(l.series) == 0 && !expire {
		return nil
	}
	for _, f := range p.staying() {
		if err := f.Read(); err != nil {
			return err
		}
		if f.Err != nil {
			p.wait() // it may have any series
			return nil
		}
	}
	if expire {
		for i := range p.old.Families {
			sum.AddOffer(l.offers, sum.StoredOffer(&p.old.Families[i]))
		}
		if err := p.eachFile(expire, func(_ int, f *snapshot.File) {
			for _, s := range f.Families {
				sum.AddOffer(l.offers, f.Offer(s))
			}
		}); err != nil {
			return err
		}
		p.collectStored()
	}
	if err := p.eachFile(expire, l.collect); err != nil {
		return err
	}
	p.decide()
	return nil
}

// staying returns the files that are not compacted, but for those of client_python.
func (p *pass) staying() []*snapshot.File { return slices.Concat(p.living, p.others) }

// wait has nothing compacted by this pass, and nothing end.
func (p *pass) wait() { p.dead, p.lives.series = nil, nil }

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
			if active := f.Series.Active(j); active != 0 && active+rule.Lasts() <= p.lives.now {
				over++
			}
		}
	}
	return isMuch(over, all)
}

func isMuch(over, all int) bool { return over > all/8 }

// eachFile calls fn with every file of the dead, whose number it is, and with those that stay,
// as ofOther. Without all, it leaves out the dead that have removed nothing.
func (p *pass) eachFile(all bool, fn func(of int, f *snapshot.File)) error {
	for i, c := range p.dead {
		if !all && !c.ends || p.isEmpty(c) {
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
	return p.eachStaying(func(f *snapshot.File) { fn(ofOther, f) })
}

// eachStaying calls fn with every file that stays.
func (p *pass) eachStaying(fn func(f *snapshot.File)) error {
	for _, f := range p.staying() {
		fn(f)
	}
	return p.eachLivingPython(fn)
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
			var process mpm.Incarnation
			if n := f.Series.Process(j); n >= 0 {
				process = p.old.Processes[n].Incarnation
			}
			l.note(f.Schema, f.Series.AppendLabels(nil, j), process, rule, l.storedPart(f, j), ofArchive)
		}
	}
}

// collect collects the parts of a file.
func (l *lives) collect(of int, f *snapshot.File) {
	dead := !f.Live
	if f.Python != nil {
		seen := map[string]bool{}
		f.EachPythonSeries(func(s *metric.Schema, labels metric.Labels) {
			if id := seriesID(s, labels, f.Header.Incarnation); !seen[id] {
				seen[id] = true
				l.note(s, labels, f.Header.Incarnation, l.ruleOf(s), lifetime.Part{Active: l.now, Dead: dead}, of)
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
			schema := list.Schema(i)
			rule := rules[schema]
			switch {
			case !list.Has(i), dead && sum.IsLive(schema), gone && !sum.Shared(schema):
			case rule.TTL == 0 && (!l.removed || gone && expires(schema) || !gone && of != ofOther):
			default:
				s := list.At(i)
				l.note(schema, s.Labels(), f.Header.Incarnation, rule, l.partOf(&s, gone, dead), of)
			}
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

// decide decides which lives have ended, and leaves the dead for a later pass that have parts
// which must wait.
func (p *pass) decide() {
	l, wait := &p.lives, map[string]bool{}
	for _, s := range l.series {
		if s.rule.TTL == 0 {
			s.since, _ = sum.LastEnd(s.parts, l.listed)
		} else {
			s.lives.Divide(s.rule, s.parts)
		}
		first, stored, evidence := int64(lifetime.Forever), false, false
		for i := range s.parts {
			part := &s.parts[i]
			switch {
			case s.rule.TTL == 0:
				evidence = evidence || s.of[i] == ofOther && !part.Gone && part.Created < s.since
			case s.of[i] == ofOther || s.ended(part, l.now):
			case s.of[i] == ofArchive:
				first, stored = s.lives.Of(part).Created, true
			case !stored:
				first = min(first, s.lives.Of(part).Created)
			}
		}
		for i := range s.parts {
			part, must := &s.parts[i], false
			switch {
			case s.of[i] < 0:
			case s.rule.TTL == 0:
				// A process still runs although it has closed its store or was marked. If nobody knew
				// any more that the series was removed, its part would count again.
				must = evidence && part.Gone
			case part.Gone && part.Removed+s.rule.Holds() > l.now:
				must = true // the archive does not know what is removed
			default:
				must = !s.ended(part, l.now) && s.lives.Of(part).Created != first
			}
			if must {
				wait[p.dead[s.of[i]].name] = true
			}
		}
	}
	p.dead = slices.DeleteFunc(p.dead, func(c candidate) bool { return wait[c.name] })
}

// ended reports whether the life of a part is over.
func (s *lifeParts) ended(p *lifetime.Part, now int64) bool { return s.lives.Of(p).End <= now }
