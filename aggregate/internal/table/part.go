package table

import (
	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// part is what the table knows of a file: which rows its series lead to.
type part struct {
	epoch   int    // the file's, when its series were placed
	label   string // the process label that they were placed with
	live    bool   // live gauges of the process are in the totals
	series  spans
	removed spans
	retired bool // some removed series lead nowhere, see retire

	regions      []regionPlace     // by number of the file's regions
	families     []*family         // that the regions lead to
	regionsAdded []mpm.NumberRange // that have come since the last plan; some have numbers that others had

	met       int         // series up to here had a row before
	actives   uint64      // ActiveChanges when expire looked at the series last
	conflicts int         // series up to here were counted as conflicts
	own       []ref       // of a file of client_python with gauges of its process alone, by record
	plan      *pythonPlan // that has the families of own
}

// part returns what the table knows of a file.
func (t *Table) part(f *snapshot.File) *part {
	p := t.parts[f]
	if p == nil {
		p = &part{removed: spans{gone: true}}
		t.parts[f] = p
	}
	return p
}

// Apply takes out the series that are gone since the last read of the file, and moves its
// values and the totals by what has changed. The next Plan gives new series their rows. If the
// numbers were reset, it does so for all.
func (t *Table) Apply(f *snapshot.File, d snapshot.Delta) {
	t.gone = t.gone || len(d.Live.Gone)+len(d.Removed.Gone) > 0
	p := t.parts[f]
	if p == nil { // nothing of it has a place
		f.Put(&d)
		return
	}
	if p.epoch != f.Epoch {
		f.Put(&d)
		p.series.mark(func(*span) bool { return true })
		p.removed.mark(func(*span) bool { return true })
		return
	}
	for _, series := range d.Live.Gone {
		if s := p.series.vacate(series); s.family != nil {
			t.release(s)
		}
	}
	p.series.move(&f.Series, f.Values, d.Live.Changes, p.live)
	p.series.see(d.Live.Changes, t.now)
	p.series.added = append(p.series.added, d.Live.Added...)
	for _, region := range d.Regions.Gone {
		if region < len(p.regions) {
			p.releaseRegion(region)
		}
	}
	p.moveRegions(f, &d, t.now)
	p.regionsAdded = append(p.regionsAdded, d.Regions.Added...)
	for _, series := range d.Removed.Gone {
		if s := p.removed.vacate(series); s.family != nil {
			t.releaseRemoved(s)
		}
	}
	for _, c := range d.Removed.Changes { // code that holds a removed series may update it
		if to, n := p.removed.rowAt(c.At); n != nowhere {
			to.family.mark(n)
		}
	}
	p.removed.added = append(p.removed.added, d.Removed.Added...)
}

// forget takes a file's series out of the table.
func (t *Table) forget(f *snapshot.File) {
	p := t.part(f)
	t.gone = t.gone || p.series.planned+p.removed.planned > 0
	p.series.each(func(s row, _ int) { t.release(s) })
	p.removed.each(func(s row, _ int) { t.releaseRemoved(s) })
	p.releaseRegions()
	for _, at := range p.own {
		p.plan.releaseOne(t, at)
	}
	if f.Python != nil {
		t.undecide() // its series go without a sign
	}
	*p = part{epoch: p.epoch, label: p.label, live: p.live, conflicts: p.conflicts, met: p.met, removed: spans{gone: true}}
}

// extend gives rows to the series of a file that have none yet.
func (t *Table) extend(f *snapshot.File) {
	p := t.part(f)
	first := p.series.planned == 0
	planned, met := p.series.planned, p.met
	p.series.extend(t, &f.Series, func(to *target, i, at int) row {
		s := t.placeLive(f, p, to, i, at)
		if s.family != nil && (i < planned || i >= met) {
			s.family.ends.see(s.number, t.now)
		}
		return s
	})
	p.met = f.Series.Len()
	p.removed.extend(t, &f.Removed, func(to *target, i, _ int) row { return t.placeRemoved(f, p, to, i) })
	t.extendRegions(f, p)
	if first {
		p.series.trim()
		p.removed.trim()
	}
}

// extend places the series of a list that have no place yet. place finds the row of series i,
// whose values begin at at.
func (p *spans) extend(t *Table, list *mpm.SeriesList, place func(to *target, i, at int) row) {
	eachNumber(p.added, p.planned, func(i int) {
		if !list.Has(i) || p.placeOf(i).family != nil {
			return // it has gone again, or has its row
		}
		if s := place(p.target(t, list.Schema(i)), i, list.Position(i)); s.family != nil {
			p.fill(i, s.number)
		}
	})
	p.added = nil
	for i := p.planned; i < list.Len(); i++ {
		s, to := row{}, p.target(t, list.Schema(i))
		if list.Has(i) {
			s = place(to, i, p.at)
		}
		p.place(to, s)
	}
}

// eachNumber calls fn with the numbers in the ranges, as far as they are below end.
func eachNumber(ranges []mpm.NumberRange, end int, fn func(int)) {
	for _, r := range ranges {
		for i := r.First; i < min(r.First+r.N, end); i++ {
			fn(i)
		}
	}
}

// placeLive finds the row of series i of a file, and adds its values, which begin at at, to
// totals that hold. It is the zero row if the series is left out.
func (t *Table) placeLive(f *snapshot.File, p *part, to *target, i, at int) (s row) {
	own := sum.PerProcess(to.schema)
	switch {
	case to.family == nil:
	case !own:
		s = to.family.rowOf(to.schema, &f.Series, i)
	case p.label != "": // else a newer process has taken the label: only its series is shown
		s = to.family.ownRowOf(to.schema, &f.Series, i, metric.Label{Name: t.processLabel, Value: p.label})
	default:
		return row{}
	}
	if s.family == nil {
		if i >= p.conflicts {
			p.conflicts = i + 1 // a later plan does not count it again
			t.conflicts++
		}
		return row{}
	}
	if f.Series.CreatedNanos(i) < s.family.ends.retired {
		t.late = true
	}
	s.family.leadOne(s.number, to, f.Values[at:][:to.size], f.Series.CreatedNanos(i), p.live)
	return s
}

// placeRemoved finds the row of a series that the process has removed. It is the zero row if
// the removed part cannot count.
func (t *Table) placeRemoved(f *snapshot.File, p *part, to *target, i int) row {
	to.idle = !sum.Cumulative(to.schema)
	if to.family == nil || !sum.Shared(to.schema) {
		return row{}
	}
	s := to.family.rowOf(to.schema, &f.Removed, i)
	if s.family != nil {
		s.family.ends.removed++
		s.family.lead(s.number)
	}
	return s
}

// lead notes that one more series leads to a row.
func (f *family) lead(n int32) {
	f.refs[n]++
	f.mark(n)
	f.ends.undecide(n)
}

// leadOne is lead for a new series, and adds its values w to totals that hold.
func (f *family) leadOne(n int32, to *target, w []uint64, created int64, live bool) {
	f.refs[n]++
	f.touch(int(n))
	f.ends.undecide(n)
	// If a life is over, what counts is decided again anyhow.
	since := f.ends.since(n)
	counts := since == sum.Always || !f.ends.expires() && sum.Counts(created, 0, since)
	if f.recompute || sum.IsLive(to.schema) && !live || !counts {
		return
	}
	f.add(n, to, w, created, sum.Source{})
	f.recompute = f.acc.used() // something may have been spilled
}

// mark has the family added up again, because the parts of that row have changed.
func (f *family) mark(n int32) {
	f.recompute = true
	f.touch(int(n))
}

// release notes that a series no longer leads to a row.
func (t *Table) release(s row) {
	s.family.refs[s.number]--
	s.family.mark(s.number)
	s.family.ends.undecide(s.number)
	s.family.unused = s.family.unused || s.family.refs[s.number] == 0
}

// releaseRemoved is release for the part of a process that has removed the series.
func (t *Table) releaseRemoved(s row) {
	t.release(s)
	s.family.ends.removed--
}
