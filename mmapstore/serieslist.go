package mmapstore

import (
	"iter"
	"unsafe"

	"github.com/multiprom/multiprom/metric"
)

// SeriesList is the series of a file, in the order of their records. A directory has as
// many of them as workers times series: 24 bytes each, without a pointer.
//
// What a Reader appends later is not in it, and what a list has stays as it is when
// the Reader is refreshed or closed.
type SeriesList struct {
	families []*metric.Schema
	texts    *Texts
	entries  []seriesEntry
	removed  []int64 // nanoseconds since 1970; nil of live series
}

type seriesEntry struct {
	created      int64
	family       uint32 // index in families
	text         TextID
	place, cells place // of the record, of the words
}

// Len returns how many series there are.
func (l *SeriesList) Len() int { return len(l.entries) }

// Family returns the definition of series i.
func (l *SeriesList) Family(i int) *metric.Schema { return l.families[l.entries[i].family] }

// TextID returns the number, in the Reader's Texts, of what SeriesInfo.Text returns for
// series i.
func (l *SeriesList) TextID(i int) TextID { return l.entries[i].text }

// CreatedNanos is SeriesInfo.CreatedNanos for series i.
func (l *SeriesList) CreatedNanos(i int) int64 { return l.entries[i].created }

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
		Family: l.families[e.family], text: l.texts.Text(e.text), created: e.created, removed: l.RemovedNanos(i), place: e.place,
	}
}

// Is reports whether both are the same list, and not only equal.
func (l *SeriesList) Is(o SeriesList) bool {
	return len(l.entries) == len(o.entries) && unsafe.SliceData(l.entries) == unsafe.SliceData(o.entries)
}

// TextIDs yields where the list keeps its numbers, for Texts.Renew.
func (l *SeriesList) TextIDs() iter.Seq[*TextID] {
	return func(yield func(*TextID) bool) {
		for i := range l.entries {
			if !yield(&l.entries[i].text) {
				return
			}
		}
	}
}
