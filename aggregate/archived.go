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
	// shown says for each of Processes whether its series are in the view: not
	// if a living or a newer process has its label.
	shown   []bool
	words   []uint64 // of the series that was unpacked last
	recents recents  // likewise
}

// loadedFamily is a schema of the archive.
type loadedFamily struct {
	*mpm.StoredFamily
	exemplars map[int][]metric.Exemplar // that series have, by number
}

// newArchived checks an archive. The error says what no compactor writes.
func newArchived(a *mpm.Archive) (*archived, error) {
	out := &archived{Archive: a, families: make([]loadedFamily, len(a.Families)), shown: make([]bool, len(a.Processes))}
	for i := range a.Families {
		f := &out.families[i]
		f.StoredFamily, f.exemplars = &a.Families[i], map[int][]metric.Exemplar{}
		for j := range f.Series.Len() {
			if x := f.Series.Exemplars(j); len(x) > 0 {
				f.exemplars[j] = x
			}
			_, err := out.unpack(f, j)
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

// size returns how many series there are.
func (a *archived) size() (n int) {
	for i := range a.Families {
		n += a.Families[i].Series.Len()
	}
	return n
}

// isShown reports whether series i of a family is of a process that is in the view, or of
// no single one.
func (a *archived) isShown(f *loadedFamily, i int) bool {
	process := f.Series.Process(i)
	return process < 0 || a.shown[process]
}

// unpack returns what processes add up to in series i of a family, until the next is
// unpacked.
func (a *archived) unpack(f *loadedFamily, i int) (accumulator, error) {
	a.words = f.Series.AppendWords(a.words[:0], i)
	sums, err := unpack(f.Schema, a.words, a.recents[:0])
	if sums.recents != nil {
		a.recents = sums.recents
	}
	sums.created = f.Series.Created(i)
	return sums, err
}

// sums is unpack for a series that newArchived has tried.
func (a *archived) sums(f *loadedFamily, i int) accumulator {
	sums, _ := a.unpack(f, i)
	return sums
}
