package snapshot

import (
	"fmt"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Archive is the archive as a snapshot keeps it between scrapes.
type Archive struct {
	*mpm.Archive
	Loaded []LoadedFamily // those of Families, in their order
	// shown says for each of Processes whether its series are in the view. They are not
	// if a living or a newer process has its label.
	shown []bool
	words []uint64  // of the series that was unpacked last
	spare sum.Spare // likewise
}

// LoadedFamily is a schema of the archive.
type LoadedFamily struct {
	*mpm.StoredFamily
	Exemplars map[int][]metric.Exemplar // by number of the series
}

// NewArchive checks an archive that was read. The error names what no compactor writes.
func NewArchive(a *mpm.Archive) (*Archive, error) {
	out := &Archive{Archive: a, Loaded: make([]LoadedFamily, len(a.Families)), shown: make([]bool, len(a.Processes))}
	for i := range a.Families {
		f := &out.Loaded[i]
		f.StoredFamily, f.Exemplars = &a.Families[i], map[int][]metric.Exemplar{}
		for j := range f.Series.Len() {
			if x := f.Series.Exemplars(j); len(x) > 0 {
				f.Exemplars[j] = x
			}
			_, err := out.unpack(f, j)
			if err == nil && (f.Series.Process(j) >= 0) != sum.PerProcess(f.Schema) {
				err = sum.ErrUnpack
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

// Size returns how many series there are.
func (a *Archive) Size() (n int) {
	for i := range a.Families {
		n += a.Families[i].Series.Len()
	}
	return n
}

// IsShown reports whether series i of a family is in the view: its process is, or it
// belongs to no single one.
func (a *Archive) IsShown(f *LoadedFamily, i int) bool {
	process := f.Series.Process(i)
	return process < 0 || a.shown[process]
}

// unpack returns what processes add up to in series i of a family. It is valid until the
// next call.
func (a *Archive) unpack(f *LoadedFamily, i int) (sum.Accumulator, error) {
	a.words = f.Series.AppendWords(a.words[:0], i)
	sums, err := sum.Unpack(f.Schema, a.words, &a.spare)
	sums.Created = f.Series.Created(i)
	return sums, err
}

// Sums is unpack without the error: NewArchive has unpacked every series once.
func (a *Archive) Sums(f *LoadedFamily, i int) sum.Accumulator {
	sums, _ := a.unpack(f, i)
	return sums
}
