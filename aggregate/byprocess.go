package aggregate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/aggregate/internal/table"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// byProcess returns each process's own series, with the process label. What the merged view
// leaves out is left out here too. Dead processes in the archive are one process of the
// name "archive", because the archive has only their sums.
//
// Each process is merged in a table of its own, so the rules are those of the merged view:
// for a process of client_python with several files, and for a dead process whose ID a
// living one has taken over, which counts as the same process.
func (a *Aggregator) byProcess() []*metric.Family {
	byName := map[string]*metric.Family{}
	byLabel := a.byLabel()
	for _, label := range slices.Sorted(maps.Keys(byLabel)) {
		t := a.merged(byLabel[label])
		for _, f := range views.Whole(t.Families()) {
			schema, _, _ := t.Describe(f.Name)
			if !a.table.Serves(schema) {
				continue
			}
			if !sum.PerProcess(schema) {
				for i := range f.Series {
					labels := &f.Series[i].Labels
					*labels = table.WithProcess(*labels, metric.Label{Name: a.opts.ProcessLabel, Value: label})
				}
			}
			if all := byName[f.Name]; all != nil {
				all.Series = append(all.Series, f.Series...)
			} else {
				byName[f.Name] = f
			}
		}
	}
	out := make([]*metric.Family, 0, len(byName))
	for _, f := range byName {
		out = append(out, f)
	}
	metric.SortFamilies(out)
	return out
}

// merged returns a table of a part of the snapshot alone.
func (a *Aggregator) merged(s *snapshot.Snapshot) *table.Table {
	t := table.New(a.opts.ProcessLabel, a.snapshot.Symbols, nil)
	t.KeepNames = true
	t.Plan(s)
	t.Merge(s, a.opts.Now().UnixNano())
	return t
}

// part returns a snapshot that has read the same, and has neither files nor an archive.
func (a *Aggregator) part() *snapshot.Snapshot {
	return &snapshot.Snapshot{
		Archive: &snapshot.Archive{Archive: &mpm.Archive{}}, Symbols: a.snapshot.Symbols, Keys: a.snapshot.Keys,
		Listed: a.snapshot.Listed, Began: a.snapshot.Began, Ended: a.snapshot.Ended,
	}
}

// valuesOf returns the series of the process of that key, as of a directory that has only its
// files.
func (a *Aggregator) valuesOf(key string) []*metric.Family {
	s := a.part()
	for _, f := range a.snapshot.Files {
		if f.Known && strings.TrimPrefix(keyOf(f), deadPython) == strings.TrimPrefix(key, deadPython) {
			s.Files = append(s.Files, f)
		}
	}
	if len(s.Files) == 0 {
		return nil
	}
	return views.Whole(a.merged(s).Families())
}

// archiveLabel is the process ID of what the archive has.
const archiveLabel = "archive"

// byLabel returns the parts of the snapshot that one process ID has, or the archive.
func (a *Aggregator) byLabel() map[string]*snapshot.Snapshot {
	out := map[string]*snapshot.Snapshot{}
	of := func(label string) *snapshot.Snapshot {
		if out[label] == nil {
			out[label] = a.part()
		}
		return out[label]
	}
	for _, f := range a.snapshot.Files {
		if f.Known {
			s := of(cmp.Or(f.Label, f.Header.Label))
			s.Files = append(s.Files, f)
		}
	}
	if a.snapshot.Archive.Bytes > 0 {
		of(archiveLabel).Archive = a.snapshot.Archive
	}
	return out
}
