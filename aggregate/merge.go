package aggregate

import "github.com/multiprom/multiprom/metric"

// merge adds up the values of the archive and of all files: of families that are marked
// recompute, as all are whose values are no sums. The totals of the others stand.
func (t *table) merge(s *snapshot, now int64) {
	files := s.files
	for _, fam := range t.byName {
		fam.reset()
	}
	t.mergeArchive(now)
	for _, f := range files {
		from := source{live: f.live, created: f.header.Created.UnixNano(), now: now}
		p := t.part(f)
		p.series.add(&f.series, f.values, from)
		p.removed.add(&f.removed, f.removedValues, from)
		for _, e := range f.exemplars {
			if e.x == nil {
				continue
			}
			if s := p.series.placeOf(e.series); s.family != nil && f.series.CreatedNanos(e.series) >= s.since() {
				s.offer(e.x, now)
			}
		}
	}
	for _, fam := range t.byName {
		fam.recompute = fam.totals.stride == 0 || fam.acc.used() // something was spilled
	}
	for _, f := range files {
		if f.python != nil {
			t.mergePython(f, source{live: f.live, now: now})
		}
	}
	for _, p := range t.python {
		p.settle(source{now: now})
	}
	for _, fam := range t.byName {
		fam.settle()
	}
}

// mergeArchive adds the archive's series to the families that are marked.
func (t *table) mergeArchive(now int64) {
	arc := t.archive
	for i := range arc.families {
		f, p := &arc.families[i], &t.placed[i]
		if p.target == nil {
			continue
		}
		if p.target.recompute {
			for j, n := range p.rows {
				if t.isCounted(f, p, j) {
					sums := arc.sums(f, j)
					p.target.join(n, f.Schema, p.bucket, &sums, now)
				}
			}
		}
		for j, exemplars := range f.exemplars {
			if t.isCounted(f, p, j) {
				for k := range exemplars {
					row{p.target, p.rows[j]}.offer(&exemplars[k], now)
				}
			}
		}
	}
}

// reset takes out the values of the scrape before, but for totals that hold.
func (f *family) reset() {
	f.acc.reset()
	if f.traced {
		for _, set := range f.exemplars {
			clear(set)
		}
		f.traced = false
	}
	if f.recompute {
		f.totals.reset()
		f.shown.again = true
	}
}

// distrust has the next scrape plan and add up everything again: this one has not ended.
func (t *table) distrust() {
	t.topology, t.livesKnown = topology{}, false
	for _, fam := range t.byName {
		fam.recompute, fam.shown.all = true, true
	}
}

// settle adds the totals to the accumulators, if these have something.
func (f *family) settle() {
	d := &f.totals
	if !f.acc.used() {
		return
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
			addCounts(a.counts, words, nil)
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
