package aggregate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/metric"
)

// survey is what the last census has found, and what it was of. It holds as long as that is
// the same.
type survey struct {
	number   uint64 // of the census
	families []inspect.Family
	files    []surveyedFile
	served   []servedFamily
	archive  *snapshot.Archive
	leftOut  uint64
}

// surveyedFile is a file with what a census takes from it. Its series are of the same schemas
// as long as version is the same.
type surveyedFile struct {
	*snapshot.File
	version fileVersion
	state   State
	live    bool
	label   string
}

// servedFamily is a family of the table.
type servedFamily struct {
	schema *metric.Schema
	shown  int
}

// survey brings the survey up to date.
func (a *Aggregator) survey() *survey {
	s := &a.activity.survey
	files, served := make([]surveyedFile, 0, len(s.files)), make([]servedFamily, 0, len(s.served))
	for _, f := range a.snapshot.Files {
		if known := a.activity.files[f]; known != nil {
			files = append(files, surveyedFile{f, known.version, stateOfProcess(f), f.Live, cmp.Or(f.Label, f.Header.Label)})
		}
	}
	for _, name := range a.table.Names() {
		schema, _, shown := a.table.Describe(name)
		served = append(served, servedFamily{schema, shown})
	}
	slices.SortFunc(served, func(a, b servedFamily) int { return strings.Compare(a.schema.Name, b.schema.Name) })
	same := s.number > 0 && s.archive == a.snapshot.Archive && s.leftOut == a.table.LeftOut() && slices.Equal(files, s.files) && slices.Equal(served, s.served)
	if !same {
		*s = survey{number: s.number + 1, families: a.census(), files: files, served: served, archive: a.snapshot.Archive, leftOut: a.table.LeftOut()}
	}
	return s
}
