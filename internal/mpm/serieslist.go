package mpm

import (
	"iter"
	"slices"
	"unsafe"
	"weak"

	"github.com/multiprom/multiprom/metric"
)

// SeriesList is the series of a file, in the order of their records. A directory has as
// many of them as workers times series, so there is no pointer in it, and readers that
// have one SymbolTable share what is the same in all files: then a further worker's series
// takes the 8 bytes of when it was made.
//
// What a Reader appends later is not in it, and what a list has stays when the Reader is
// refreshed or closed; only SymbolTable.Renew gives it other Symbols.
type SeriesList struct {
	schemas []*metric.Schema
	symbols *SymbolTable
	entries []seriesEntry
	created []int64 // of each, nanoseconds since 1970
	removed []int64 // likewise; nil of live series

	like []seriesEntry // while it is made: a list that begins with entries
}

// seriesEntry is what workers that run the same program have in common.
type seriesEntry struct {
	schema        uint32 // index in schemas
	symbol        Symbol
	record, cells wordOffset // of the record, of the words
}

// begin makes room before the first series is added, for about n of them. Where that
// series is the first of another list, entries are a part of that one for as long as the
// others are the same, and take no memory.
func (l *SeriesList) begin(first seriesEntry, n int) {
	if l.like = l.symbols.lists.likely(first); l.like == nil {
		l.entries = make([]seriesEntry, 0, n)
	} else {
		n = len(l.like)
	}
	l.created = make([]int64, 0, n)
}

// add appends a series.
func (l *SeriesList) add(e seriesEntry, created int64) {
	l.created = append(l.created, created)
	n := len(l.entries)
	if n < len(l.like) {
		if l.like[n] == e {
			l.entries = l.like[: n+1 : n+1]
			return
		}
		l.entries = append(make([]seriesEntry, 0, len(l.like)), l.entries...)
		l.like = nil
	}
	l.entries = append(l.entries, e)
}

// trim gives back the room to grow, and shares the entries with other lists where they
// are the same.
func (l *SeriesList) trim() {
	l.like = nil
	l.entries, l.created = l.symbols.lists.share(l.entries), trimmed(l.created)
}

// trimmed returns s without room to grow.
func trimmed[T any](s []T) []T {
	if cap(s)-len(s) > len(s)/8 {
		s = slices.Clone(s)
	}
	return slices.Clip(s)
}

// sharedLists are the entries of lists that came last. They are held by the readers
// alone.
type sharedLists struct{ all []sharedList }

type sharedList struct {
	first weak.Pointer[seriesEntry]
	n     int
}

// maxShared is how many programs may take turns in a directory and still share.
const maxShared = 8

// likely returns the entries of the last list that begins with first, nil where there
// is none. Nobody appends to them.
func (s *sharedLists) likely(first seriesEntry) []seriesEntry {
	for _, l := range slices.Backward(s.all) {
		if e := l.first.Value(); e != nil && *e == first {
			return unsafe.Slice(e, l.n)
		}
	}
	return nil
}

// share returns the entries of another list, where they begin with these, and else
// these without room to grow. Nobody appends to what is shared.
func (s *sharedLists) share(entries []seriesEntry) []seriesEntry {
	if len(entries) == 0 {
		return nil
	}
	n := len(entries)
	s.all = slices.DeleteFunc(s.all, func(l sharedList) bool { return l.first.Value() == nil })
	for _, l := range s.all {
		if first := l.first.Value(); first != nil && n <= l.n {
			other := unsafe.Slice(first, l.n)[:n:n]
			if first == &entries[0] || slices.Equal(entries, other) {
				return other
			}
		}
	}
	own := trimmed(entries)
	if len(s.all) == maxShared {
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, sharedList{weak.Make(&own[0]), n})
	return own
}

// Len returns how many series there are.
func (l *SeriesList) Len() int { return len(l.entries) }

// Schema returns the schema of series i.
func (l *SeriesList) Schema(i int) *metric.Schema { return l.schemas[l.entries[i].schema] }

// Counts returns how many series each definition has.
func (l *SeriesList) Counts() map[*metric.Schema]int {
	counts := make([]int, len(l.schemas))
	for i := range l.entries {
		counts[l.entries[i].schema]++
	}
	out := make(map[*metric.Schema]int, len(counts))
	for i, n := range counts {
		out[l.schemas[i]] = n
	}
	return out
}

// Symbol returns the number, in the Reader's SymbolTable, of what SeriesInfo.EncodedLabels returns for
// series i.
func (l *SeriesList) Symbol(i int) Symbol { return l.entries[i].symbol }

// CreatedNanos is SeriesInfo.CreatedNanos for series i.
func (l *SeriesList) CreatedNanos(i int) int64 { return l.created[i] }

// RemovedNanos is SeriesInfo.RemovedNanos for series i.
func (l *SeriesList) RemovedNanos(i int) int64 {
	if l.removed == nil {
		return 0
	}
	return l.removed[i]
}

// At returns series i, without its words.
func (l *SeriesList) At(i int) SeriesInfo {
	e := &l.entries[i]
	return SeriesInfo{
		Schema: l.schemas[e.schema], encoded: l.symbols.Lookup(e.symbol), created: l.created[i], removed: l.RemovedNanos(i), record: e.record,
	}
}

// Symbols yields where lists keep their numbers, each place once, for SymbolTable.Renew.
func Symbols(lists iter.Seq[SeriesList]) iter.Seq[*Symbol] {
	return func(yield func(*Symbol) bool) {
		longest := map[*seriesEntry]int{}
		for l := range lists {
			first := unsafe.SliceData(l.entries)
			for i := longest[first]; i < len(l.entries); i++ {
				if !yield(&l.entries[i].symbol) {
					return
				}
			}
			longest[first] = max(longest[first], len(l.entries))
		}
	}
}
