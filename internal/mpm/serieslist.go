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
// takes only the 8 bytes of its created time, or 12 if it makes them in another order.
//
// A list stays the same when its Reader is refreshed or closed; series that the Reader adds
// later are not in it. Only SymbolTable.Renew changes its symbols.
type SeriesList struct {
	schemas []*metric.Schema
	table   *SymbolTable
	labels  column[Symbol]
	records column[recordRef]
	created []int64 // per series, nanoseconds since 1970
	removed []int64 // likewise; nil for live series
}

// recordRef is the schema of a series and where it is in its file.
type recordRef struct {
	schema        uint32 // index in schemas
	record, cells wordOffset
}

// begin allocates space for about n series before the first one is added.
func (l *SeriesList) begin(first Symbol, at recordRef, n int) {
	n = max(l.labels.begin(&l.table.labels, first, n), l.records.begin(&l.table.records, at, n))
	l.created = make([]int64, 0, n)
}

// add appends a series.
func (l *SeriesList) add(labels Symbol, at recordRef, created int64) {
	l.labels.add(labels)
	l.records.add(at)
	l.created = append(l.created, created)
}

// trim frees spare capacity, and shares the columns with other lists if they are the same.
func (l *SeriesList) trim() {
	l.labels.trim(&l.table.labels)
	l.records.trim(&l.table.records)
	l.created = trimmed(l.created)
}

// column is a part of a list that workers of the same program have in common. If they make
// the same series in different orders, their symbols differ, and the records may be the same.
type column[T comparable] struct {
	all  []T
	like []T // while the list is built: another column that begins with all
}

// begin allocates space for about n entries before the first one is added, and returns for
// how many there is space. If another column begins with the first one, this is a part of that
// column as long as the entries are the same, and takes no memory.
func (c *column[T]) begin(shared *sharedColumns[T], first T, n int) int {
	if c.like = shared.likely(first); c.like == nil {
		c.all = make([]T, 0, n)
		return n
	}
	return len(c.like)
}

func (c *column[T]) add(e T) {
	n := len(c.all)
	if n < len(c.like) {
		if c.like[n] == e {
			c.all = c.like[: n+1 : n+1]
			return
		}
		c.all = append(make([]T, 0, len(c.like)), c.all...)
		c.like = nil
	}
	c.all = append(c.all, e)
}

func (c *column[T]) trim(shared *sharedColumns[T]) { c.like, c.all = nil, shared.share(c.all) }

// trimmed returns s without spare capacity.
func trimmed[T any](s []T) []T {
	if cap(s)-len(s) > len(s)/8 {
		s = slices.Clone(s)
	}
	return slices.Clip(s)
}

// sharedColumns are those of the most recent lists. Only the readers keep them alive.
type sharedColumns[T comparable] struct{ all []sharedColumn[T] }

type sharedColumn[T comparable] struct {
	first weak.Pointer[T]
	n     int
}

// maxShared is how many programs may alternate in a directory and still share columns.
const maxShared = 8

// likely returns the last column that begins with first, or nil if there is none. It must
// not be appended to.
func (s *sharedColumns[T]) likely(first T) []T {
	for _, l := range slices.Backward(s.all) {
		if e := l.first.Value(); e != nil && *e == first {
			return unsafe.Slice(e, l.n)
		}
	}
	return nil
}

// share returns the part of another column that begins with these entries. If there is
// none, it returns these without spare capacity. What is shared must not be appended to.
func (s *sharedColumns[T]) share(entries []T) []T {
	if len(entries) == 0 {
		return nil
	}
	n := len(entries)
	s.all = slices.DeleteFunc(s.all, func(l sharedColumn[T]) bool { return l.first.Value() == nil })
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
	s.all = append(s.all, sharedColumn[T]{weak.Make(&own[0]), n})
	return own
}

// Len returns the number of series.
func (l *SeriesList) Len() int { return len(l.records.all) }

// Schema returns the schema of series i.
func (l *SeriesList) Schema(i int) *metric.Schema { return l.schemas[l.records.all[i].schema] }

// Counts returns the number of series of each schema.
func (l *SeriesList) Counts() map[*metric.Schema]int {
	counts := make([]int, len(l.schemas))
	for i := range l.records.all {
		counts[l.records.all[i].schema]++
	}
	out := make(map[*metric.Schema]int, len(counts))
	for i, n := range counts {
		out[l.schemas[i]] = n
	}
	return out
}

// Symbol returns the number, in the Reader's SymbolTable, of what SeriesInfo.EncodedLabels returns for
// series i.
func (l *SeriesList) Symbol(i int) Symbol { return l.labels.all[i] }

// Created returns SeriesInfo.CreatedNanos for every series, in order. Nobody writes to it.
func (l *SeriesList) Created() []int64 { return l.created }

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
	at := &l.records.all[i]
	return SeriesInfo{
		Schema: l.schemas[at.schema], encoded: l.table.Lookup(l.labels.all[i]), created: l.created[i], removed: l.RemovedNanos(i), record: at.record,
	}
}

// Symbols yields pointers to the symbols of lists, each once, for SymbolTable.Renew.
func Symbols(lists iter.Seq[SeriesList]) iter.Seq[*Symbol] {
	return func(yield func(*Symbol) bool) {
		longest := map[*Symbol]int{}
		for l := range lists {
			all := l.labels.all
			first := unsafe.SliceData(all)
			for i := longest[first]; i < len(all); i++ {
				if !yield(&all[i]) {
					return
				}
			}
			longest[first] = max(longest[first], len(all))
		}
	}
}
