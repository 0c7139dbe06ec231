package table

import (
	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/metric"
)

// Merge adds up the values of the archive and of all files, in families that are marked
// recompute. Those whose values are no sums always are. The totals of the others are right
// already. now is the reader's clock, in nanoseconds since 1970.
func (t *Table) Merge(s *snapshot.Snapshot, now int64) {
	files := s.Files
	for _, fam := range t.byName {
		fam.reset()
	}
	t.mergeArchive(now)
	for _, f := range files {
		from := sum.Source{Live: f.Live, Created: f.Header.Created.UnixNano(), Now: now}
		p := t.part(f)
		p.series.add(&f.Series, f.Values, from)
		p.removed.add(&f.Removed, f.RemovedValues, from)
		p.addRegions(f)
		for _, e := range f.Exemplars {
			if e.Exemplar == nil {
				continue
			}
			if s := p.series.placeOf(e.Series); s.family != nil && s.family.ends.counts(s.number, &f.Series, e.Series, false) {
				s.offer(e.Exemplar, now)
			}
		}
	}
	for _, fam := range t.byName {
		fam.recompute = fam.totals.stride == 0 || fam.acc.used() // something was spilled
	}
	for _, f := range files {
		if f.Python != nil {
			t.mergePython(f, sum.Source{Live: f.Live, Now: now})
		}
	}
	for _, p := range t.python {
		p.settle(sum.Source{Now: now})
	}
	for _, fam := range t.byName {
		fam.settle()
	}
}

// mergeArchive adds the archive's series to the families that are marked.
func (t *Table) mergeArchive(now int64) {
	arc := t.archive
	for i := range arc.Loaded {
		f, p := &arc.Loaded[i], &t.placed[i]
		if p.target == nil {
			continue
		}
		if p.target.recompute {
			for j, n := range p.rows {
				if t.isCounted(f, p, j) {
					sums := arc.Sums(f, j)
					p.target.join(n, f.Schema, p.bucket, &sums, now)
				}
			}
		}
		for j, exemplars := range f.Exemplars {
			if t.isCounted(f, p, j) {
				for k := range exemplars {
					row{p.target, p.rows[j]}.offer(&exemplars[k], now)
				}
			}
		}
	}
}

// reset drops the values of the last scrape, except totals that hold.
func (f *family) reset() {
	f.acc.reset()
	if f.traced {
		for _, set := range f.exemplars {
			clear(set)
		}
		if f.native != nil {
			for i := range f.native.exemplars {
				f.native.exemplars[i] = f.native.exemplars[i][:0]
			}
		}
		f.traced = false
	}
	if f.recompute {
		f.totals.reset()
		if f.native != nil {
			f.native.reset()
		}
		f.shown.again = true
	}
}

// Distrust has the next scrape plan and add up everything again, because this one failed.
func (t *Table) Distrust() {
	t.topology = topology{}
	t.undecide()
	for _, fam := range t.byName {
		fam.recompute, fam.shown.all = true, true
	}
}

// settle adds the totals to the accumulators, if these have anything.
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
			a.AddInts(0, words[0])
		case metric.Summary:
			a.Ints += words[0]
		case metric.Histogram:
			if f.native == nil { // else they are in totals
				sum.AddCounts(a.Counts, words, nil)
			}
		case metric.Gauge, metric.Unknown:
			if words[gaugeThere] == 0 {
				continue // a live gauge, and no living process has it
			}
			a.Set = a.Set || words[gaugeSet] > 0
		}
		a.Enter(created)
		hi, lo := d.sum(n)
		a.Sum.Add(lo)
		a.Sum.Add(hi)
		f.keep(int32(n), &a)
	}
}
