package mpm

import (
	"iter"
	"slices"
	"unsafe"
	"weak"

	"github.com/multiprom/multiprom/metric"
)

// SeriesList is the series of a file, in the order of their records. A directory may have
// very many series (workers times series), so the list has no pointers, and readers with
// the same SymbolTable share what is the same in all files. Then a series of one more worker
// takes only the 8 bytes of its created time.
//
// A list stays the same when its Reader is refreshed or closed; series that the Reader adds
// later are not in it. Only SymbolTable.Renew changes its symbols.
type SeriesList struct {
	schemas []*metric.Schema
	symbols *SymbolTable
	entries []seriesEntry
	created []int64 // per series, nanoseconds since 1970
	removed []int64 // likewise; nil for live series

	like []seriesEntry // while the list is built: another list that begins with entries
}

// seriesEntry is the part of a series that workers of the same program share.
type seriesEntry struct {
	schema        uint32 // index in schemas
	symbol        Symbol
	record, cells wordOffset // offsets of the record and of the words
}

// begin allocates space for about n series before the first one is added. If another list
// starts with that series, entries are a part of that list as long as the series are the
// same, and take no memory.
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

// trim frees spare capacity, and shares the entries with other lists if they are the same.
func (l *SeriesList) trim() {
	l.like = nil
	l.entries, l.created = l.symbols.lists.share(l.entries), trimmed(l.created)
}

// trimmed returns s without spare capacity.
func trimmed[T any](s []T) []T {
	if cap(s)-len(s) > len(s)/8 {
		s = slices.Clone(s)
	}
	return slices.Clip(s)
}

// sharedLists are the entries of the most recent lists. Only the readers keep them alive.
type sharedLists struct{ all []sharedList }

type sharedList struct {
	first weak.Pointer[seriesEntry]
	n     int
}

// maxShared is how many programs may alternate in a directory and still share entries.
const maxShared = 8

// likely returns the entries of the last list that begins with first, or nil if there is
// none. They must not be appended to.
func (s *sharedLists) likely(first seriesEntry) []seriesEntry {
	for _, l := range slices.Backward(s.all) {
		if e := l.first.Value(); e != nil && *e == first {
			return unsafe.Slice(e, l.n)
		}
	}
	return nil
}

// share returns the entries of another list that begins with these entries. If there is
// none, it returns these without spare capacity. Shared entries must not be appended to.
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

// Len returns the number of series.
func (l *SeriesList) Len() int { return len(l.entries) }

// Schema returns the schema of series i.
func (l *SeriesList) Schema(i int) *metric.Schema { return l.schemas[l.entries[i].schema] }

// Counts returns the number of series of each schema.
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

// Symbols yields pointers to the symbols of lists, each once, for SymbolTable.Renew.
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
