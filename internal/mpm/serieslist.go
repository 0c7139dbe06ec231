package mpm

import (
	"iter"
	"slices"
	"unsafe"
	"weak"

	"github.com/multiprom/multiprom/metric"
)

// SeriesList is the series of a file by their numbers. The first time that a file is read,
// the numbers follow the order of the records. A series that goes leaves a gap, which the
// next new series of the same schema fills. So a number always has the same schema, and its
// values always have the same position, until most numbers are gaps and a Reading resets
// them.
//
// A directory may have very many series (workers times series), so the list has no pointers,
// and readers with the same SymbolTable share what is the same in all files. Then a series of
// one more worker takes only the 8 bytes of its created time, or 12 if it makes them in
// another order.
//
// A list is valid until the next good Read or Refresh, and after Close. Series that the
// Reader adds later are not in it. SymbolTable.Renew changes its symbols.
type SeriesList struct {
	schemas   []*metric.Schema
	sizes     []seriesSize // by schema
	table     *SymbolTable
	labels    column[Symbol] // 0 in a gap
	records   column[recordRef]
	created   []int64  // by number, nanoseconds since 1970
	removed   []int64  // likewise; nil for live series
	active    []uint32 // units of 1 << activeShift ns since base, of series with a TTL; nil if there are none, may be short
	base      int64    // nanoseconds since 1970
	actives   uint64   // see ActiveChanges
	positions []int    // of the values of every positionStep-th number
	gaps      int      // how many
}

// seriesSize says how many words and how many values a series has.
type seriesSize struct {
	words, values int
	recent        bool // the words are not plain values
	ttl           bool // the schema has a TTL
}

// positionStep keeps positions small.
const positionStep = 64

// recordRef is the schema of a series and where it is in its file.
type recordRef struct {
	schema        uint32 // index in schemas
	record, cells wordOffset
}

// column is a part of a list that workers of the same program have in common. If they make
// the same series in different orders, their symbols differ, and the records may be the same.
type column[T comparable] struct {
	all  []T
	like []T  // while the list is built: another column that begins with all
	own  bool // no other list has any of it
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

func (c *column[T]) trim(shared *sharedColumns[T]) {
	c.like, c.own, c.all = nil, false, shared.share(c.all)
}

// set overwrites an entry. Other lists that share the column keep theirs.
func (c *column[T]) set(i int, e T) {
	if !c.own {
		c.like, c.own, c.all = nil, true, slices.Clone(c.all)
	}
	c.all[i] = e
}

// cut drops the entries from n on.
func (c *column[T]) cut(n int) { c.all = c.all[:n] }

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

// Len returns the number of numbers: of series and of gaps.
func (l *SeriesList) Len() int { return len(l.records.all) }

// Count returns the number of series.
func (l *SeriesList) Count() int { return l.Len() - l.gaps }

// Schema returns the schema of series i.
func (l *SeriesList) Schema(i int) *metric.Schema { return l.schemas[l.records.all[i].schema] }

// Counts returns the number of series of each schema.
func (l *SeriesList) Counts() map[*metric.Schema]int {
	counts := make([]int, len(l.schemas))
	for i := range l.records.all {
		if l.Has(i) {
			counts[l.records.all[i].schema]++
		}
	}
	out := make(map[*metric.Schema]int, len(counts))
	for i, n := range counts {
		out[l.schemas[i]] = n
	}
	return out
}

// Has reports whether there is a series of that number, and not a gap.
func (l *SeriesList) Has(i int) bool { return l.labels.all[i] != 0 }

// Position returns where the values of series i begin among the values of all series. It
// stays the same as long as numbers are not reset.
func (l *SeriesList) Position(i int) int {
	from := i / positionStep
	at := l.positions[from]
	for _, e := range l.records.all[from*positionStep : i] {
		at += l.sizes[e.schema].values
	}
	return at
}

// ValuesOf returns how many values series i has.
func (l *SeriesList) ValuesOf(i int) int { return l.sizes[l.records.all[i].schema].values }

// NumberAt returns the number of the series whose values contain that position.
func (l *SeriesList) NumberAt(position int) int {
	step, exact := slices.BinarySearch(l.positions, position)
	if !exact {
		step--
	}
	n, at := step*positionStep, l.positions[step]
	for {
		if at += l.ValuesOf(n); at > position {
			return n
		}
		n++
	}
}

// BytesOf returns how many bytes of the file series i takes: its record and its words.
func (l *SeriesList) BytesOf(i int) int64 {
	return int64(align8(offSerBody+len(l.table.Lookup(l.labels.all[i]))) + 8*l.sizes[l.records.all[i].schema].words)
}

// Symbol returns the symbol, in the Reader's SymbolTable, of the labels of series i
// (SeriesInfo.EncodedLabels).
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

// ActiveNanos returns when series i, which has a TTL, was last seen to change, in nanoseconds
// since 1970: by the clock of the reader, whatever the wall clock was when it changed. It is
// no earlier than the time at which the file was created, and 0 of a series without a TTL.
//
// It goes together with CreatedNanos: both are of the same life.
func (l *SeriesList) ActiveNanos(i int) int64 {
	if !l.sizes[l.records.all[i].schema].ttl {
		return 0
	}
	if i >= len(l.active) {
		return l.base
	}
	return l.base + int64(l.active[i])<<activeShift
}

// ActiveChanges returns a number that grows when ActiveNanos of a series has become another
// one. It begins again if the numbers of series do.
func (l *SeriesList) ActiveChanges() uint64 { return l.actives }

// At returns series i, without its words.
func (l *SeriesList) At(i int) SeriesInfo {
	at := &l.records.all[i]
	return SeriesInfo{
		Schema: l.schemas[at.schema], encoded: l.table.Lookup(l.labels.all[i]), created: l.created[i], removed: l.RemovedNanos(i), active: l.ActiveNanos(i), record: at.record, number: i,
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
