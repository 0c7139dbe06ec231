package aggregate

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/aggregate/internal/table"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// gatherByProcess is Gather for a context of inspect.WithByProcess.
func (a *Aggregator) gatherByProcess(ctx context.Context) (families []*metric.Family, err error) {
	a.scrape(ctx, true, func(_ []views.Family, e error) {
		if err = e; err == nil {
			families = a.byProcess()
		}
	})
	return families, err
}

// byProcess returns each process's own series, with the process label. What the merged view
// leaves out is left out here too. Dead processes in the archive are one process of the
// name "archive", because the archive has only their sums.
//
// Each process is merged in a table of its own, so the rules are those of the merged view:
// for a process of client_python with several files, and for a dead process whose ID a
// living one has taken over, which counts as the same process.
func (a *Aggregator) byProcess() []*metric.Family {
	byName := map[string]*metric.Family{}
	for _, p := range a.byLabel() {
		t := a.merged(p)
		for _, f := range t.Families(false) {
			schema, _, _ := t.Describe(f.Name)
			if !a.table.Serves(schema) {
				continue
			}
			if !sum.PerProcess(schema) {
				for i := range f.Series {
					labels := &f.Series[i].Labels
					*labels = table.WithProcess(*labels, metric.Label{Name: a.opts.ProcessLabel, Value: p.label})
				}
			}
			if all := byName[f.Name]; all != nil {
				all.Series = append(all.Series, f.Series...)
			} else {
				byName[f.Name] = f.Family
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

// merged returns a table of some files alone.
func (a *Aggregator) merged(p *labelled) *table.Table {
	t := table.New(a.opts.ProcessLabel, a.snapshot.Symbols, nil)
	t.KeepNames = true
	s := &snapshot.Snapshot{
		Files: p.files, Archive: p.archive, Listed: a.snapshot.Listed, Began: a.snapshot.Began, Ended: a.snapshot.Ended,
		Symbols: a.snapshot.Symbols, Keys: a.snapshot.Keys,
	}
	t.Plan(s)
	t.Merge(s, a.opts.Now().UnixNano())
	return t
}

// valuesOf returns the series of the process of that key, as of a directory that has only its
// files.
func (a *Aggregator) valuesOf(key string) []*metric.Family {
	p := &labelled{archive: &snapshot.Archive{Archive: &mpm.Archive{}}}
	for _, f := range a.snapshot.Files {
		if f.Known && strings.TrimPrefix(keyOf(f), deadPython) == strings.TrimPrefix(key, deadPython) {
			p.files = append(p.files, f)
		}
	}
	if len(p.files) == 0 {
		return nil
	}
	return views.Whole(a.merged(p).Families(false))
}

// labelled are the files of one process ID, or the archive.
type labelled struct {
	label   string
	files   []*snapshot.File
	archive *snapshot.Archive // never nil
}

// archiveLabel is the process ID of what the archive has.
const archiveLabel = "archive"

// byLabel returns the files by process label.
func (a *Aggregator) byLabel() []*labelled {
	byLabel := map[string]*labelled{}
	of := func(label string) *labelled {
		p := byLabel[label]
		if p == nil {
			p = &labelled{label: label, archive: &snapshot.Archive{Archive: &mpm.Archive{}}}
			byLabel[label] = p
		}
		return p
	}
	for _, f := range a.snapshot.Files {
		if f.Known {
			p := of(cmp.Or(f.Label, f.Header.Label))
			p.files = append(p.files, f)
		}
	}
	if a.snapshot.Archive.Bytes > 0 {
		of(archiveLabel).archive = a.snapshot.Archive
	}
	out := make([]*labelled, 0, len(byLabel))
	for _, p := range byLabel {
		out = append(out, p)
	}
	slices.SortFunc(out, func(p, q *labelled) int { return strings.Compare(p.label, q.label) })
	return out
}
