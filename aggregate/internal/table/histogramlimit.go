package table

import (
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/metric"
)

// measure tells the histograms how many series they may have (sum.RoomFor).
func (t *Table) measure(files []*snapshot.File, arc *snapshot.Archive) {
	words := int(arc.Bytes / 8)
	for _, f := range files {
		words += len(f.Values) + len(f.RemovedValues)
	}
	for _, fam := range t.byName {
		if fam.schema.Type == metric.Histogram {
			fam.most = sum.RoomFor(words, len(fam.bounds))
		}
	}
}

// isFull reports whether the family has no room for another series.
func (f *family) isFull() bool {
	return f.schema.Type == metric.Histogram && len(f.free) == 0 && len(f.symbol) >= f.most
}

// hasRoom reports whether the family has room for another series. If not, it notes that one
// is left out.
func (f *family) hasRoom() bool {
	full := f.isFull()
	f.leftOut = f.leftOut || full
	return !full
}

// placeLeftOut places series that were left out, if there is room for them now.
func (t *Table) placeLeftOut(files []*snapshot.File) {
	var all []*family
	for _, fam := range t.byName {
		if fam.leftOut {
			all = append(all, fam)
		}
	}
	if len(all) == 0 {
		return
	}
	t.sweep(files) // it makes room
	if all = slices.DeleteFunc(all, (*family).isFull); len(all) == 0 {
		return
	}
	for _, fam := range all {
		fam.leftOut = false
	}
	t.forgetPython()
	for _, f := range files {
		if slices.ContainsFunc(f.Families, func(s *metric.Schema) bool { return slices.Contains(all, t.familyOf(s)) }) {
			t.forget(f)
			t.planFile(f)
		}
	}
	for _, p := range t.python {
		p.extend(t)
	}
	arc := t.archive
	t.forgetArchive()
	t.placeArchive(arc)
}
