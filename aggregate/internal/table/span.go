package table

import (
	"slices"
	"sort"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// span is consecutive series of a file, of one schema, and the rows that they lead to. The
// rows are consecutive too, or a scatter: if the process made its series in another order
// than the one before it, or some lead nowhere, as those do that it has removed, until their
// numbers are used again.
type span struct {
	to     *target
	series uint32 // number of the first in the file
	at     uint32 // of its values
	n      uint32
	first  int32 // number of the first row; for a scatter ^i, with the first row in rows[i]
}

// target is where the series of one schema of a file go.
type target struct {
	family  *family // nil if another schema is served
	schema  *metric.Schema
	size    int   // values of a series
	bucket  []int // of a histogram whose bounds are not the family's: where each bucket goes
	columns []int // by value: the word of totals that it adds up to, or -1
	idle    bool  // the values do not count: those of gauges that were removed

	definitions histogram.Definitions // of a native histogram
}

// spans lead the series of one list of a file to their rows. Workers make much the same
// series in much the same order, so there are few.
type spans struct {
	all     []span
	rows    []int32 // of scatters
	ordered int     // at the end of a scatter: how many rows are consecutive
	targets map[*metric.Schema]*target
	last    *target
	planned int               // series that have a place, or were left out
	at      int               // where the values of the next one begin
	added   []mpm.NumberRange // series that have come since the last plan; some have numbers that others had
	gone    bool              // the process has removed them
	watched bool              // some do not say when they were active last, although their family has a TTL
}

// isWatched reports whether series of the target expire by when the table has seen them change.
func (to *target) isWatched() bool {
	return to.family != nil && to.family.ends.expires() && to.schema.TTL == 0
}

// shortSpan is how many consecutive rows are worth a span of their own.
const shortSpan = 16

// end returns where the values of the next series begin.
func (s *span) end() int { return int(s.at) + int(s.n)*s.to.size }

// row returns the number of the row of series i of a span.
func (p *spans) row(s *span, i int) int32 {
	if s.first >= 0 {
		return s.first + int32(i)
	}
	return p.rows[int(^s.first)+i]
}

// target returns where the series of a schema go.
func (p *spans) target(t *Table, schema *metric.Schema) *target {
	if p.last != nil && p.last.schema == schema {
		return p.last
	}
	to := p.targets[schema]
	if to == nil {
		to = &target{family: t.familyOf(schema), schema: schema, size: mpm.ValuesPerSeries(schema)}
		if to.family != nil {
			to.bucket = to.family.bucketsOf(schema)
			to.columns = totalsColumns(schema, to.bucket)
			if sum.IsNative(schema) {
				to.definitions = histogram.DefinitionOf(schema.Native).Definitions()
			}
		}
		if p.targets == nil {
			p.targets = map[*metric.Schema]*target{}
		}
		p.targets[schema] = to
		p.watched = p.watched || to.isWatched()
	}
	p.last = to
	return to
}

// place makes the next series lead to a row, or nowhere if it has none: until it has one, or
// another series has its number. If another schema is served, none will ever have a row.
func (p *spans) place(to *target, s row) {
	switch {
	case s.family != nil:
		p.lead(to, s.number)
	case to.family != nil:
		p.lead(to, nowhere)
	}
	p.next(to)
}

// lead makes the next series lead to a row, or nowhere.
func (p *spans) lead(to *target, number int32) {
	if n := len(p.all); n > 0 {
		s := &p.all[n-1]
		if s.to == to && int(s.series+s.n) == p.planned {
			switch {
			case s.first < 0 && int(^s.first)+int(s.n) == len(p.rows): // its rows are the last ones
				p.scatter(number)
				return
			case s.first < 0:
			case s.first+int32(s.n) == number:
				s.n++
				return
			case s.n < shortSpan:
				p.scattered(s)
				p.scatter(number)
				return
			}
		}
	}
	first := number
	if number == nowhere {
		first = ^int32(len(p.rows))
		p.rows = append(p.rows, nowhere)
	}
	p.all = append(p.all, span{to: to, series: uint32(p.planned), at: uint32(p.at), n: 1, first: first})
}

// scatter makes the next series of the last span, which is a scatter, lead to a row. If the
// last shortSpan rows are consecutive, they become a span of their own.
func (p *spans) scatter(number int32) {
	s := &p.all[len(p.all)-1]
	if last := p.rows[len(p.rows)-1]; last != nowhere && number == last+1 {
		p.ordered++
	} else {
		p.ordered = 1
	}
	p.rows = append(p.rows, number)
	s.n++
	if p.ordered < shortSpan {
		return
	}
	p.rows = p.rows[:len(p.rows)-shortSpan]
	s.n -= shortSpan
	p.all = append(p.all, span{
		to: s.to, series: s.series + s.n, at: uint32(s.end()), n: shortSpan, first: number - shortSpan + 1,
	})
}

// next goes on to the series after one with that target.
func (p *spans) next(to *target) { p.planned, p.at = p.planned+1, p.at+to.size }

// trim releases spare capacity.
func (p *spans) trim() {
	if len(p.rows) < cap(p.rows)*7/8 {
		p.rows = slices.Clone(p.rows)
	}
	if len(p.all) < cap(p.all)*7/8 {
		p.all = slices.Clone(p.all)
	}
}

// each calls fn with every row, and the number of the series that leads there.
func (p *spans) each(fn func(s row, series int)) {
	for k := range p.all {
		s := &p.all[k]
		for i := range int(s.n) {
			if n := p.row(s, i); n != nowhere {
				fn(row{s.to.family, n}, int(s.series)+i)
			}
		}
	}
}

// mark marks all rows, and their families, of the spans for which is returns true.
func (p *spans) mark(is func(*span) bool) {
	for k := range p.all {
		if s := &p.all[k]; is(s) {
			for i := range int(s.n) {
				if n := p.row(s, i); n != nowhere {
					s.to.family.mark(n)
				}
			}
		}
	}
}

// rowAt returns the row to which the value at that position leads, and its target.
func (p *spans) rowAt(at int) (to *target, n int32) {
	i := sort.Search(len(p.all), func(i int) bool { return p.all[i].end() > at })
	if i == len(p.all) || int(p.all[i].at) > at {
		return nil, nowhere
	}
	s := &p.all[i]
	return s.to, p.row(s, (at-int(s.at))/s.to.size)
}

// spanOf returns the span that has the series of that number, or nil.
func (p *spans) spanOf(series int) *span {
	i := sort.Search(len(p.all), func(i int) bool { return int(p.all[i].series+p.all[i].n) > series })
	if i == len(p.all) || int(p.all[i].series) > series {
		return nil
	}
	return &p.all[i]
}

// placeOf returns the row of the series of that number, the zero row if it was left out or is
// gone.
func (p *spans) placeOf(series int) row {
	if s := p.spanOf(series); s != nil {
		if n := p.row(s, series-int(s.series)); n != nowhere {
			return row{s.to.family, n}
		}
	}
	return row{}
}

// vacate makes the series of a number lead nowhere, and returns the row that it led to.
func (p *spans) vacate(series int) row {
	was := p.placeOf(series)
	if was.family != nil {
		p.fill(series, nowhere)
	}
	return was
}

// fill makes the series of a number, which has a span, lead to a row.
func (p *spans) fill(series int, number int32) {
	s := p.spanOf(series)
	p.scattered(s)[series-int(s.series)] = number
}

// scattered makes a span a scatter, and returns its rows, which the caller changes.
func (p *spans) scattered(s *span) []int32 {
	if s.first >= 0 {
		first := s.first
		s.first = ^int32(len(p.rows))
		for i := range int32(s.n) {
			p.rows = append(p.rows, first+i)
		}
	}
	p.ordered = 0 // the rows are about to change
	return p.rows[^s.first:][:s.n]
}

// add adds the values of a list to the families that are marked.
func (p *spans) add(list *mpm.SeriesList, values []uint64, from sum.Source) {
	for k := range p.all {
		s, to := &p.all[k], p.all[k].to
		fam := to.family
		if !fam.recompute || to.idle || sum.IsLive(to.schema) && !from.Live {
			continue
		}
		words := values[s.at:s.end()]
		if s.first >= 0 && to.schema.Type == metric.Counter && !fam.ends.any(int(s.first), int(s.n)) {
			created := list.Created()[s.series:][:s.n]
			begun := fam.totals.created[s.first:][:len(created)]
			for i, c := range created {
				if c < begun[i] {
					begun[i] = c
				}
			}
			fam.addCounters(int(s.first), int(s.n), words)
			continue
		}
		if s.first < 0 && to.schema.Type == metric.Counter && fam.ends.some == 0 {
			fam.addScattered(p.rows[^s.first:][:s.n], list.Created()[s.series:], words)
			continue
		}
		for i := range int(s.n) {
			n, series := p.row(s, i), int(s.series)+i
			if n != nowhere && fam.ends.counts(n, list, series, p.gone) {
				fam.add(n, to, words[i*to.size:][:to.size], list.CreatedNanos(series), from)
			}
		}
	}
}

// move makes the changes, which are in the order of At, part of the list's values, and moves
// the totals by them. One pass does both: a pass of its own would cost a sixth of a scrape.
// live says that live gauges are in the totals.
func (p *spans) move(list *mpm.SeriesList, values []uint64, changes []mpm.Change, live bool) {
	for k := range p.all {
		if len(changes) == 0 {
			return
		}
		if s := &p.all[k]; changes[0].At < s.end() {
			changes = p.moveSpan(s, list, values, changes, live)
		}
	}
	for _, c := range changes { // of series that were left out
		values[c.At] = c.Word
	}
}

// moveSpan takes the changes before the end of a span, and returns the rest.
func (p *spans) moveSpan(s *span, list *mpm.SeriesList, values []uint64, changes []mpm.Change, live bool) []mpm.Change {
	to, fam, at, end, size := s.to, s.to.family, int(s.at), s.end(), uint32(s.to.size)
	columns, stride, words, ends := to.columns, fam.totals.stride, fam.totals.words, fam.ends.some > 0
	counts := stride > 0 && (live || !sum.IsLive(to.schema))
	first, scatter := int(s.first), []int32(nil)
	if first < 0 {
		scatter = p.rows[^first:][:s.n]
	}
	if size == 2 && stride == 1 && counts && scatter == nil && !ends && !fam.recompute {
		changes = fam.movePairs(to, first, changes, at, values[at:end])
	}
	for i := range changes {
		place, now := changes[i].At, changes[i].Word
		if place >= end {
			return changes[i:]
		}
		old := values[place]
		values[place] = now
		if !counts || place < at { // before it: of a series that was left out
			continue
		}
		series, word := uint32(place-at)/2, uint32(place-at)%2
		if size != 2 {
			series, word = uint32(place-at)/size, uint32(place-at)%size
		}
		n := first + int(series)
		if scatter != nil {
			if n = int(scatter[series]); n == nowhere {
				continue
			}
		}
		if fam.recompute {
			fam.touch(n)
			continue
		}
		if ends && !fam.ends.counts(int32(n), list, int(s.series+series), false) {
			continue
		}
		moves := false
		if column := columns[word]; column >= 0 {
			total := &words[n*stride+column]
			*total += now - old
			moves = *total >= now // else the sum is more than a word holds
		} else {
			moves = fam.totals.moveFloat(n, to.schema, old, now)
		}
		if !moves {
			fam.recompute = true
		}
		fam.touch(n)
	}
	return nil
}

// movePairs is moveSpan for series of a word and a float, such as counters, whose rows
// are consecutive and have no end. It returns at the first change of another span, and after
// one that the totals cannot follow. Most of a busy scrape is this loop, which is nearly
// twice as fast as the general one.
func (f *family) movePairs(to *target, first int, changes []mpm.Change, at int, values []uint64) []mpm.Change {
	word := slices.Index(to.columns, 0)
	words := f.totals.words[first:][:len(values)/2]
	for i := range changes {
		place, now := changes[i].At-at, changes[i].Word
		if uint(place) >= uint(len(values)) {
			return changes[i:]
		}
		old := values[place]
		values[place] = now
		n, moves := place>>1, false
		if place&1 == word {
			total := words[n] + now - old
			words[n] = total
			moves = total >= now // else the sum is more than a word holds
		} else {
			moves = f.totals.moveFloat(first+n, to.schema, old, now)
		}
		f.touch(first + n)
		if !moves {
			f.recompute = true
			return changes[i+1:]
		}
	}
	return nil
}
