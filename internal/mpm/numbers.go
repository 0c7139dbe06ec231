package mpm

import (
	"slices"

	"github.com/multiprom/multiprom/metric"
)

// numbers is a list of a file's series from one good read to the next. What a read finds
// stands after the numbers of the last good one, or waits in gone, until commit gives the
// new series the numbers of those that have gone. So a read that fails leaves the list of
// the last good one alone.
//
// Invariants:
//  1. Only commit and renumber change what is below n.
//  2. Numbers from kept on are of the walk of a block that is not accepted yet.
//  3. Every series below claimed that is neither in gone nor in dropped, nor a gap, has
//     claimed its words.
type numbers struct {
	SeriesList
	n       int             // numbers of the last good read
	kept    int             // numbers of accepted walks
	claimed int             // numbers whose series have claimed their words
	gone    []uint32        // numbers below n whose series have gone since
	dropped map[uint32]bool // numbers from n on whose series have gone too, or are damaged
	from    []int32         // by number from n on: in the removed list, the number that it had among the live ones, or -1
	moved   []int32         // by number from n on: the number that commit gave it, or -1
	free    [][]uint32      // by schema: gaps
	reset   bool            // the numbers are not those of the last good read
	trimmed int             // numbers when the columns were last trimmed

	spans   []span // of the words of the numbers below n
	stale   bool   // they are to be made again
	fresh   []span // of the words of the numbers from n on
	planned bool   // spans and fresh are of what the last walk found
}

// all is the number of numbers, those of this read included.
func (l *numbers) all() int { return len(l.records.all) }

// add appends a series that a walk has found. room is for how many there may be.
func (l *numbers) add(labels Symbol, at recordRef, created int64, room int) {
	if l.all() == 0 {
		n := max(l.labels.begin(&l.table.labels, labels, room), l.records.begin(&l.table.records, at, room))
		l.created = make([]int64, 0, n)
	}
	l.labels.add(labels)
	l.records.add(at)
	l.created = append(l.created, created)
}

// rollback forgets what the last walk has added.
func (l *numbers) rollback() { l.cut(l.kept) }

func (l *numbers) cut(n int) {
	l.labels.cut(n)
	l.records.cut(n)
	l.created = l.created[:n]
	if l.removed != nil {
		l.removed = l.removed[:n]
		l.from = l.from[:max(0, n-l.n)]
	}
}

// goes notes that a series has gone.
func (l *numbers) goes(i uint32) {
	l.planned = false
	if int(i) < l.n {
		l.gone = append(l.gone, i)
		return
	}
	if l.dropped == nil {
		l.dropped = map[uint32]bool{}
	}
	l.dropped[i] = true
}

// commit makes what was found the list. The result says what has come and gone.
func (l *numbers) commit() (d Delta) {
	d.Reset = l.reset
	l.reset = false
	for _, i := range l.gone {
		schema := l.records.all[i].schema
		l.put(int(i), 0, recordRef{schema: schema}, 0, 0)
		for len(l.free) <= int(schema) {
			l.free = append(l.free, nil)
		}
		l.free[schema] = append(l.free[schema], i)
		l.gaps++
		d.Gone = append(d.Gone, int(i))
	}
	l.gone = l.gone[:0]
	l.stale = l.stale || !l.planned
	l.moved = nil
	to := l.n
	if l.gaps == 0 && len(l.dropped) == 0 {
		to = l.all()
		d.Added = appendRange(d.Added, l.n, to-l.n)
		d.From = l.from
	} else {
		l.moved = make([]int32, l.all()-l.n)
		for i := l.n; i < l.all(); i++ {
			if l.dropped[uint32(i)] {
				l.moved[i-l.n] = -1
				continue
			}
			at := l.gapFor(i, to)
			if at == to {
				to++
			}
			if at != i {
				l.copy(at, i)
			}
			l.moved[i-l.n] = int32(at)
			d.Added = appendRange(d.Added, at, 1)
			if l.removed != nil {
				d.From = append(d.From, l.from[i-l.n])
			}
		}
		l.cut(to)
	}
	if !l.stale {
		l.spans = append(l.spans, l.fresh...)
	}
	l.from, l.dropped, l.fresh, l.planned = nil, nil, l.fresh[:0], false
	l.n, l.kept, l.claimed = to, to, to
	l.place()
	if l.n > 2*l.trimmed {
		l.labels.trim(&l.table.labels)
		l.records.trim(&l.table.records)
		l.created, l.removed = trimmed(l.created), trimmed(l.removed)
		l.trimmed = l.n
	}
	return d
}

// gapFor returns the number for the new series i: that of a gap of its schema, or to.
func (l *numbers) gapFor(i, to int) int {
	schema := int(l.records.all[i].schema)
	if schema >= len(l.free) || len(l.free[schema]) == 0 {
		return to
	}
	free := l.free[schema]
	at := free[len(free)-1]
	l.free[schema] = free[:len(free)-1]
	l.gaps--
	l.stale = true
	return int(at)
}

func (l *numbers) put(i int, labels Symbol, at recordRef, created, removed int64) {
	l.labels.set(i, labels)
	l.records.set(i, at)
	l.created[i] = created
	if l.removed != nil {
		l.removed[i] = removed
	}
	if i < len(l.active) {
		l.active[i] = 0
	}
}

func (l *numbers) copy(to, from int) {
	l.put(to, l.labels.all[from], l.records.all[from], l.created[from], l.RemovedNanos(from))
}

// place brings the positions up to date.
func (l *numbers) place() {
	for i := positionStep * len(l.positions); i < l.n; i += positionStep {
		at := 0
		if i > 0 {
			at = l.Position(i - positionStep)
			for _, e := range l.records.all[i-positionStep : i] {
				at += l.sizes[e.schema].values
			}
		}
		l.positions = append(l.positions, at)
	}
}

// sparse reports whether half of the numbers, and as many as gaps besides, are gaps that no
// series of this read will fill.
func (l *numbers) sparse(gaps int) bool { return l.gaps+len(l.gone)-(l.all()-l.n) > l.n/2+gaps }

// mostGaps is how many gaps are no reason to reset numbers.
const mostGaps = 1024

// renumber gives all series new numbers without gaps, which stay in the order of the old
// ones. It returns the new number of each old one, or -1.
func (l *numbers) renumber() (moved []int32) {
	old := l.SeriesList
	oldFrom, oldN := l.from, l.n
	moved = make([]int32, l.all())
	for _, i := range l.gone {
		moved[i] = -1
	}
	for i := range l.dropped {
		moved[i] = -1
	}
	claimed := 0
	l.SeriesList = SeriesList{schemas: old.schemas, sizes: old.sizes, table: old.table}
	if old.removed != nil {
		l.removed, l.from = []int64{}, []int32{}
	}
	for i := range old.records.all {
		if moved[i] < 0 || !old.Has(i) {
			moved[i] = -1
			continue
		}
		moved[i] = int32(l.all())
		l.add(old.labels.all[i], old.records.all[i], old.created[i], len(moved))
		if old.removed != nil {
			from := int32(-1)
			if i >= oldN {
				from = oldFrom[i-oldN]
			}
			l.removed, l.from = append(l.removed, old.removed[i]), append(l.from, from)
		}
		if i < l.claimed {
			claimed++
		}
	}
	l.n, l.kept, l.claimed, l.gaps, l.trimmed = 0, l.all(), claimed, 0, 0
	l.gone, l.free, l.dropped, l.moved = nil, nil, nil, nil
	l.spans, l.stale, l.planned, l.reset = nil, false, false, true
	return moved
}

// list returns the list of the last good read.
func (l *numbers) list() SeriesList {
	out := l.SeriesList
	out.labels = column[Symbol]{all: l.labels.all[:l.n:l.n]}
	out.records = column[recordRef]{all: l.records.all[:l.n:l.n]}
	out.created = l.created[:l.n:l.n]
	if l.removed != nil {
		out.removed = l.removed[:l.n:l.n]
	}
	out.active = l.active[:min(len(l.active), l.n)]
	return out
}

// sizeOf returns the size of a series with that schema.
func sizeOf(s *metric.Schema) seriesSize {
	return seriesSize{words: WordsPerSeries(s), values: ValuesPerSeries(s), recent: s.Timed(), ttl: s.TTL > 0}
}

// plan brings spans and fresh up to date.
func (l *numbers) plan() {
	if l.planned {
		return
	}
	l.planned = true
	if l.stale || len(l.gone) > 0 {
		l.spans, l.stale = l.appendSpans(l.spans[:0], 0, l.n), false
	}
	l.fresh = l.appendSpans(l.fresh[:0], l.n, l.all())
}

// appendSpans appends the spans of the words of the series numbered a to b. Gaps, and series
// that have gone, have no words.
func (l *numbers) appendSpans(dst []span, a, b int) []span {
	gone := l.gone
	if a >= l.n {
		gone = nil
	}
	slices.Sort(gone)
	for i := a; i < b; i++ {
		there := l.labels.all[i] != 0
		switch {
		case len(gone) > 0 && int(gone[0]) == i:
			gone, there = gone[1:], false
		case i >= l.n && l.dropped[uint32(i)]:
			continue
		}
		at := l.records.all[i]
		size := &l.sizes[at.schema]
		switch {
		case size.words == 0:
		case !there:
			dst = appendSpan(dst, span{n: uint32(size.values)})
		case size.recent:
			dst = appendSpan(dst, span{at.cells, uint32(size.words), true})
		default:
			dst = appendSpan(dst, span{at: at.cells, n: uint32(size.values)})
		}
	}
	return dst
}

// without drops what was read of series that have gone since: changes of those with numbers
// below n, and values of those from n on. All others were still there after their values
// were read. So one reading is enough, however many go meanwhile.
func (l *numbers) without(late []uint32, changes []Change, values []uint64) ([]Change, []uint64) {
	slices.Sort(late)
	kept := changes[:0]
	for ; len(late) > 0 && int(late[0]) < l.n; late = late[1:] {
		at := l.Position(int(late[0]))
		for len(changes) > 0 && changes[0].At < at {
			kept, changes = append(kept, changes[0]), changes[1:]
		}
		for len(changes) > 0 && changes[0].At < at+l.ValuesOf(int(late[0])) {
			changes = changes[1:]
		}
	}
	kept = append(kept, changes...)
	if len(late) == 0 {
		return kept, values
	}
	all := values
	values = values[:0]
	for i := l.n; i < l.all(); i++ {
		gone := l.dropped[uint32(i)]
		if len(late) > 0 && int(late[0]) == i {
			late = late[1:]
		} else if gone {
			continue // it had gone before
		}
		n := l.ValuesOf(i)
		if !gone {
			values = append(values, all[:n]...)
		}
		all = all[n:]
	}
	return kept, values
}
