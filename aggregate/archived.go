package aggregate

import (
	"fmt"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// archived is the archive between scrapes.
type archived struct {
	*mpm.Archive
	families []loadedFamily // as in Archive
	series   []loadedSeries
	// exemplars are those that series have, by number.
	exemplars map[int][]metric.Exemplar
	// shown says for each of Processes whether its series are in the view: not
	// where a living or a newer process has its label.
	shown []bool

	words   []uint64 // of the series that was unpacked last
	recents recents  // likewise
}

// loadedFamily is a definition of the archive, and where the table has its series.
type loadedFamily struct {
	*mpm.StoredFamily
	target *family // nil where another definition is served, and before it is placed
	bucket []int   // of a histogram whose bounds are not the target's: where each bucket goes
}

// loadedSeries is one series of the archive with its place in the table.
type loadedSeries struct {
	family, index int32 // which series of which family
	number        int32 // of its slot in the target, or nowhere
	added         bool  // since it was placed
	dense         bool  // it was put into the target's dense, and is there while that holds
}

// newArchived checks an archive. The error says what no compactor writes.
func newArchived(a *mpm.Archive) (*archived, error) {
	n := 0
	for i := range a.Families {
		n += a.Families[i].Series.Len()
	}
	out := &archived{
		Archive: a, families: make([]loadedFamily, len(a.Families)), series: make([]loadedSeries, 0, n),
		exemplars: map[int][]metric.Exemplar{}, shown: make([]bool, len(a.Processes)),
	}
	for i := range a.Families {
		f := &a.Families[i]
		out.families[i].StoredFamily = f
		for j := range f.Series.Len() {
			if x := f.Series.Exemplars(j); len(x) > 0 {
				out.exemplars[len(out.series)] = x
			}
			out.series = append(out.series, loadedSeries{family: int32(i), index: int32(j)})
			_, err := out.unpack(len(out.series) - 1)
			if err == nil && (f.Series.Process(j) >= 0) != perProcess(f.Schema) {
				err = errUnpack
			}
			if err != nil {
				return nil, &mpm.CorruptionError{
					Path: mpm.ArchiveName, Reason: fmt.Sprintf("a series of %s: %v", f.Schema.Name, err),
				}
			}
		}
	}
	return out, nil
}

// of returns the family of series i, and its number there.
func (a *archived) of(i int) (f *loadedFamily, index int) {
	return &a.families[a.series[i].family], int(a.series[i].index)
}

func (a *archived) created(i int) int64 {
	f, index := a.of(i)
	return f.Series.Created(index)
}

func (a *archived) process(i int) int {
	f, index := a.of(i)
	return f.Series.Process(index)
}

// slot returns the slot of series i, none where it is not placed.
func (a *archived) slot(i int) slot {
	f, _ := a.of(i)
	if f.target == nil || a.series[i].number == nowhere {
		return slot{}
	}
	return slot{f.target, a.series[i].number}
}

// unpack returns what processes add up to in series i, until the next is unpacked.
func (a *archived) unpack(i int) (accumulator, error) {
	f, index := a.of(i)
	a.words = f.Series.AppendWords(a.words[:0], index)
	sums, err := unpack(f.Schema, a.words, a.recents[:0])
	if sums.recents != nil {
		a.recents = sums.recents
	}
	sums.created = f.Series.Created(index)
	return sums, err
}

// sums is unpack for a series that newArchived has tried.
func (a *archived) sums(i int) accumulator {
	sums, _ := a.unpack(i)
	return sums
}

// begins reports whether the dense of its family knows when series i, which is placed,
// began.
func (a *archived) begins(i int) bool {
	return a.process(i) < 0 && summed(a.slot(i).family.schema)
}

// begin tells the dense of its family when series i began.
func (a *archived) begin(i int) {
	if a.begins(i) {
		a.slot(i).family.begin(a.series[i].number, a.created(i))
	}
}

// leave takes series i out of the dense of its family.
func (a *archived) leave(i int) {
	s := a.slot(i)
	if a.begins(i) {
		s.family.orphan(s.number, a.created(i))
	}
	if a.series[i].dense && s.family.holds() {
		if sums := a.sums(i); !s.family.dense.leave(s.family, int(s.number), &sums) {
			s.family.dirty = true
		}
		s.family.touch(int(s.number))
	}
}
