package mmapstore

import (
	"iter"
	"slices"
	"unsafe"
	"weak"

	"github.com/multiprom/multiprom/metric"
)

// SeriesList is the series of a file, in the order of their records. A directory has as
// many of them as workers times series, so there is no pointer in it, and readers that
// have one Texts share what is the same in all files: then a further worker's series
// takes the 8 bytes of when it was made.
//
// What a Reader appends later is not in it, and what a list has stays when the Reader is
// refreshed or closed; only Texts.Renew gives it other TextIDs.
type SeriesList struct {
	families []*metric.Schema
	texts    *Texts
	entries  []seriesEntry
	created  []int64 // of each, nanoseconds since 1970
	removed  []int64 // likewise; nil of live series
}

// seriesEntry is what workers that run the same program have in common.
type seriesEntry struct {
	family       uint32 // index in families
	text         TextID
	place, cells place // of the record, of the words
}

// add appends a series.
func (l *SeriesList) add(e seriesEntry, created int64) {
	l.entries, l.created = append(l.entries, e), append(l.created, created)
}

// trim gives back the room to grow, and shares the entries with other lists where they
// are the same.
func (l *SeriesList) trim() {
	l.entries, l.created = l.texts.lists.share(l.entries), slices.Clone(l.created)
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

// share returns the entries of another list, where they begin with these, and else a
// copy without room to grow. Nobody appends to what is shared.
func (s *sharedLists) share(entries []seriesEntry) []seriesEntry {
	if len(entries) == 0 {
		return nil
	}
	n := len(entries)
	s.all = slices.DeleteFunc(s.all, func(l sharedList) bool { return l.first.Value() == nil })
	for _, l := range s.all {
		if first := l.first.Value(); first != nil && n <= l.n {
			if other := unsafe.Slice(first, l.n); slices.Equal(entries, other[:n]) {
				return other[:n:n]
			}
		}
	}
	own := slices.Clone(entries)
	if len(s.all) == maxShared {
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, sharedList{weak.Make(&own[0]), n})
	return own[:n:n]
}

// Len returns how many series there are.
func (l *SeriesList) Len() int { return len(l.entries) }

// Family returns the definition of series i.
func (l *SeriesList) Family(i int) *metric.Schema { return l.families[l.entries[i].family] }

// TextID returns the number, in the Reader's Texts, of what SeriesInfo.Text returns for
// series i.
func (l *SeriesList) TextID(i int) TextID { return l.entries[i].text }

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
		Family: l.families[e.family], text: l.texts.Text(e.text), created: l.created[i], removed: l.RemovedNanos(i), place: e.place,
	}
}

// TextIDs yields where lists keep their numbers, each place once, for Texts.Renew.
func TextIDs(lists iter.Seq[SeriesList]) iter.Seq[*TextID] {
	return func(yield func(*TextID) bool) {
		longest := map[*seriesEntry]int{}
		for l := range lists {
			first := unsafe.SliceData(l.entries)
			for i := longest[first]; i < len(l.entries); i++ {
				if !yield(&l.entries[i].text) {
					return
				}
			}
			longest[first] = max(longest[first], len(l.entries))
		}
	}
}
