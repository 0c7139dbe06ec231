package aggregate

import (
	"errors"
	"fmt"
	"math"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// archived is the archive between scrapes.
type archived struct {
	*mmapstore.Archive
	series []archivedSeries
	// shown says for each of Processes whether its series are in the view: not
	// where a living or a newer process has its label.
	shown []bool
}

// archivedSeries is one series of the archive with its place in the table.
type archivedSeries struct {
	*mmapstore.ArchivedSeries
	schema *metric.Schema

	slot   slot // without a family where another definition is served
	bucket []int
	added  bool // since it was placed
	dense  bool // it was put into the family's dense, and is there while that holds
}

// sums returns what processes add up to in the series.
func (s *archivedSeries) sums() accumulator {
	a, _ := unpack(s.schema, s.Words) // newArchived has tried
	a.created = s.Created
	return a
}

// begins reports whether the family's dense knows when the series began.
func (s *archivedSeries) begins() bool {
	if s.slot.family == nil || s.Process >= 0 {
		return false
	}
	_, ok := denseWords(s.slot.family.schema)
	return ok
}

// begin tells the family's dense when the series began.
func (s *archivedSeries) begin() {
	if s.begins() {
		s.slot.family.begin(s.slot.number, s.Created)
	}
}

// leave takes the series out of the family's dense.
func (s *archivedSeries) leave() {
	fam, n := s.slot.family, s.slot.number
	if s.begins() {
		fam.orphan(n, s.Created)
	}
	if s.dense && fam.holds() {
		if sums := s.sums(); !fam.dense.leave(fam, int(n), &sums) {
			fam.dirty = true
		}
		fam.touch(int(n))
	}
}

// newArchived unpacks an archive. The error says what no folder writes.
func newArchived(a *mmapstore.Archive) (*archived, error) {
	n := 0
	for i := range a.Families {
		n += len(a.Families[i].Series)
	}
	out := &archived{Archive: a, series: make([]archivedSeries, 0, n), shown: make([]bool, len(a.Processes))}
	for i := range a.Families {
		f := &a.Families[i]
		for j := range f.Series {
			s := &f.Series[j]
			_, err := unpack(f.Schema, s.Words)
			if err == nil && (s.Process >= 0) != perProcess(f.Schema) {
				err = errUnpack
			}
			if err != nil {
				return nil, &mmapstore.CorruptionError{
					Path: mmapstore.ArchiveName, Reason: fmt.Sprintf("a series of %s: %v", f.Schema.Name, err),
				}
			}
			out.series = append(out.series, archivedSeries{ArchivedSeries: s, schema: f.Schema})
		}
	}
	return out, nil
}

// errUnpack: the words are not those of the type.
var errUnpack = errors.New("its values do not fit its type")

// How the values of a series stand in the archive (docs/format.md, "The
// archive"): some words of a fixed number, then the parts of an exact sum; but for
// the gauge, an infinity or NaN is the last of them.
//
//	counter          low and high word of the whole increments; parts
//	summary          count; parts
//	histogram        observations per bucket; parts
//	gauge sum        1 set, 2 with a sum of infinities and NaN; that sum; parts
//	gauge all, min, max   the value's bits, or UnsetBits
//	mostrecent       the value's bits; nanoseconds since 1970, 0 for never
//	state set all    number of the state
//	info             nanoseconds since 1970: when the process opened its file

// fixedWords returns how many words stand before the parts, and whether there
// are parts at all.
func fixedWords(s *metric.Schema) (n int, parts bool) {
	switch s.Type {
	case metric.Counter:
		return 2, true
	case metric.Summary:
		return 1, true
	case metric.Histogram:
		return len(s.Bounds) + 1, true
	case metric.Gauge:
		if s.Mode.Base() == metric.ModeSum {
			return 2, true
		}
	}
	if isRecent(s) {
		return 2, false
	}
	return 1, false
}

const (
	sumSet     = 1
	sumSpecial = 2
)

// pack returns the accumulator's words in the archive.
func (a *accumulator) pack(s *metric.Schema) []uint64 {
	value := math.Float64bits(a.value)
	switch s.Type {
	case metric.Counter:
		return append([]uint64{a.ints, a.hi}, a.sum.words()...)
	case metric.Summary:
		return append([]uint64{a.ints}, a.sum.words()...)
	case metric.Histogram:
		return append(append([]uint64(nil), a.counts...), a.sum.words()...)
	case metric.Info:
		return []uint64{uint64(a.newest)}
	}
	switch {
	case isRecent(s):
		return []uint64{value, uint64(a.nanos)}
	case s.Type == metric.StateSet:
		return []uint64{a.ints}
	case s.Mode.Base() == metric.ModeSum:
		w := []uint64{0, math.Float64bits(a.sum.special)}
		if a.set {
			w[0] |= sumSet
		}
		if a.sum.odd {
			w[0] |= sumSpecial
		}
		return append(w, a.sum.parts()...)
	case !a.set:
		return []uint64{mmapstore.UnsetBits}
	}
	return []uint64{value}
}

// unpack is the reverse of pack.
func unpack(s *metric.Schema, w []uint64) (a accumulator, err error) {
	fixed, parts := fixedWords(s)
	if len(w) < fixed || len(w) > fixed && !parts {
		return a, errUnpack
	}
	a.present = true
	for _, bits := range w[fixed:] {
		a.sum.add(math.Float64frombits(bits))
	}
	value := math.Float64frombits(w[0])
	switch {
	case s.Type == metric.Counter:
		a.ints, a.hi = w[0], w[1]
	case s.Type == metric.Summary:
		a.ints = w[0]
	case s.Type == metric.Histogram:
		a.counts = w[:fixed:fixed]
	case s.Type == metric.Info:
		a.newest = int64(w[0])
	case isRecent(s):
		a.value, a.nanos = value, int64(w[1])
		a.set = a.nanos > 0
	case s.Type == metric.StateSet:
		a.ints = w[0]
	case s.Mode.Base() == metric.ModeSum:
		a.set = w[0]&sumSet != 0
		if w[0]&sumSpecial != 0 {
			a.sum.odd, a.sum.special = true, math.Float64frombits(w[1])
		}
	case w[0] != mmapstore.UnsetBits:
		a.value, a.set = value, true
	}
	return a, nil
}
