package aggregate

import "github.com/multiprom/multiprom/metric"

// merge adds up the values of the archive and of all files. Of a family whose sums
// stand already, only what has come anew.
func (t *table) merge(files []*file, now int64) {
	some := false
	for _, fam := range t.byName {
		fam.reset()
		some = some || fam.anew
	}
	t.mergeArchive(some, now)
	for _, f := range files {
		from := source{live: f.live, created: f.header.Created.UnixNano(), now: now}
		if f.python != nil {
			t.mergePython(f, from)
			continue
		}
		for i := range f.runs {
			f.runs[i].add(f, from)
		}
		for i := range f.steps {
			if st := &f.steps[i]; st.slot != nil && st.created >= st.slot.since() {
				st.slot.family.settled = true
				st.slot.sums().add(st.schema, f.values[st.at:st.at+st.n], st.bucket, st.created, from)
			}
		}
		for _, e := range f.exemplars {
			if s := f.slotOf(e.series); e.x != nil && s != nil && f.series[e.series].CreatedNanos() >= s.since() {
				s.offer(e.x)
			}
		}
		for i := range f.removedSteps {
			if st := &f.removedSteps[i]; st.slot != nil && st.created >= st.slot.since() && st.removed > st.slot.since() && cumulative(st.schema) {
				st.slot.family.settled = true
				st.slot.sums().add(st.schema, f.removedValues[st.at:st.at+st.n], st.bucket, st.created, from)
			}
		}
	}
	for _, p := range t.python {
		p.settle(source{now: now})
	}
	for _, fam := range t.byName {
		fam.settle()
	}
}

// mergeArchive adds the archive's series: to dense where a family is added up anew,
// and else, of each scrape, those that dense cannot hold. some says that there is
// such a family.
func (t *table) mergeArchive(some bool, now int64) {
	add := func(i int) (loose bool) {
		s := &t.archive.series[i]
		if s.slot == nil || s.acc.created < s.slot.since() || s.process >= 0 && !t.archive.shown[s.process] {
			return true // another time it may count
		}
		fam := s.slot.family
		if fam.anew {
			_, ok := denseWords(fam.schema)
			s.dense = ok && !fam.ending && s.bucket == nil && fam.dense.join(fam, int(s.slot.number), &s.acc)
		}
		if !s.dense {
			fam.settled = true
			s.slot.sums().join(s.schema, &s.acc, s.bucket, now)
		}
		for j := range s.exemplars {
			s.slot.offer(&s.exemplars[j])
		}
		return !s.dense || len(s.exemplars) > 0
	}
	if !some {
		for _, i := range t.loose {
			add(i)
		}
		return
	}
	t.loose = t.loose[:0]
	for i := range t.archive.series {
		if add(i) {
			t.loose = append(t.loose, i)
		}
	}
}

// reset takes out the values of the scrape before, but for sums that hold.
func (f *family) reset() {
	if f.settled {
		for _, s := range f.order {
			if s.acc != nil {
				s.acc.reset()
			}
		}
	}
	if f.traced {
		for _, s := range f.order {
			if s.exemplars != nil {
				clear(*s.exemplars)
			}
		}
	}
	_, ok := denseWords(f.schema)
	if f.anew = f.dirty || f.spilled || f.ending; f.anew {
		f.dense.reset()
		f.shown.all = true
	}
	f.dirty, f.spilled = false, false
	f.settled, f.traced = f.ending || !ok, false
}

// settle gives the slots what dense has, where they have more.
func (f *family) settle() {
	d := &f.dense
	if f.ending || !f.settled {
		return // all of it is there already, or nothing
	}
	for n, s := range d.slots {
		if s == nil || d.created[n] == never {
			continue
		}
		a, words := s.sums(), d.of(n)
		switch f.schema.Type {
		case metric.Counter:
			a.addInts(0, words[0])
		case metric.Summary:
			a.ints += words[0]
		case metric.Histogram:
			a.addCounts(words, nil)
		case metric.Gauge:
			if words[gaugeThere] == 0 {
				continue // of live ones, none is of a living process
			}
			a.set = a.set || words[gaugeSet] > 0
		}
		a.enter(d.created[n])
		a.sum.add(d.lo[n])
		a.sum.add(d.hi[n])
	}
}
