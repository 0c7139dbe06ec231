package aggregate

import (
	"slices"

	"github.com/multiprom/multiprom/metric"
)

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
			f.steps[i].add(f, from)
		}
		for _, e := range f.exemplars {
			if e.x == nil {
				continue
			}
			if s := f.placeOf(e.series); s.family != nil && f.series.CreatedNanos(e.series) >= s.since() {
				s.offer(e.x, now)
			}
		}
		for i := range f.removedSteps {
			f.removedSteps[i].addRemoved(f, from)
		}
	}
	for _, p := range t.python {
		p.settle(source{now: now})
	}
	for _, fam := range t.byName {
		fam.settle()
	}
}

// mergeArchive adds the archive's series: to dense those that came anew or whose
// family is added up anew, and else, of each scrape, those that dense cannot hold. some
// says that there is such a family.
func (t *table) mergeArchive(some bool, now int64) {
	if some {
		t.loose = t.loose[:0]
		for i := range t.archive.series {
			t.loose = append(t.loose, i)
		}
	}
	t.loose = slices.DeleteFunc(t.loose, func(i int) bool { return !t.addArchived(i, now) })
}

// addArchived adds series i of the archive, and reports whether the next merge has to
// look at it again.
func (t *table) addArchived(i int, now int64) (loose bool) {
	arc := t.archive
	to, s, process := arc.slot(i), &arc.series[i], arc.process(i)
	fam := to.family
	if fam == nil || arc.created(i) < to.since() || process >= 0 && !arc.shown[process] {
		return true // another time it may count
	}
	from, _ := arc.of(i)
	if fam.anew || !s.added {
		sums := arc.sums(i)
		s.dense = summed(fam.schema) && !fam.ending && from.bucket == nil && fam.dense.join(fam, int(s.number), &sums)
		if s.added = true; s.dense && !fam.anew {
			fam.touch(int(s.number))
		}
	}
	if !s.dense {
		sums := arc.sums(i)
		fam.join(s.number, from.Schema, &sums, from.bucket, now)
	}
	exemplars := arc.exemplars[i]
	for j := range exemplars {
		to.offer(&exemplars[j], now)
	}
	return !s.dense || len(exemplars) > 0
}

// reset takes out the values of the scrape before, but for sums that hold.
func (f *family) reset() {
	if f.settled {
		f.acc.reset()
	}
	if f.traced {
		for _, set := range f.exemplars {
			clear(set)
		}
	}
	if f.anew = f.dirty || f.spilled || f.ending; f.anew {
		f.dense.reset()
		f.shown.all = true
	}
	f.dirty, f.spilled = false, false
	f.settled, f.traced = f.ending || !summed(f.schema), false
}

// settle gives the accumulators what dense has, where they have more.
func (f *family) settle() {
	d := &f.dense
	if f.ending || !f.settled {
		return // all of it is there already, or nothing
	}
	for n, created := range d.created {
		if created == never {
			continue
		}
		a, words := f.sums(int32(n)), d.of(n)
		switch f.schema.Type {
		case metric.Counter:
			a.addInts(0, words[0])
		case metric.Summary:
			a.ints += words[0]
		case metric.Histogram:
			a.addCounts(words, nil)
		case metric.Gauge, metric.Unknown:
			if words[gaugeThere] == 0 {
				continue // of live ones, none is of a living process
			}
			a.set = a.set || words[gaugeSet] > 0
		}
		a.enter(created)
		hi, lo := d.sum(n)
		a.sum.add(lo)
		a.sum.add(hi)
		f.keep(int32(n), &a)
	}
}
