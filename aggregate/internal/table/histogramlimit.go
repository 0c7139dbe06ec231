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

// waiting are the families that had no room for some series: of a file, of the archive, or
// of a plan for client_python's files.
type waiting []*family

// add notes a family that has left out a series, if the family is full.
func (w *waiting) add(f *family) {
	if f != nil && f.isFull() && !slices.Contains(*w, f) {
		*w = append(*w, f)
	}
}

// hasRoom reports whether one of the families has room again.
func (w waiting) hasRoom() bool {
	return slices.ContainsFunc(w, func(f *family) bool { return !f.isFull() })
}

// placeLeftOut places series that were left out, if there is room for them now.
func (t *Table) placeLeftOut(files []*snapshot.File) {
	waits := len(t.waits) > 0
	for _, f := range files {
		waits = waits || len(t.part(f).waits) > 0
	}
	for _, p := range t.python {
		waits = waits || len(p.waits) > 0
	}
	if !waits {
		return
	}
	t.sweep(files) // it makes room
	for _, f := range files {
		if t.part(f).waits.hasRoom() {
			t.forget(f)
			t.planFile(f)
		}
	}
	for _, p := range t.python {
		if p.waits.hasRoom() {
			p.release(t)
			p.extend(t)
		}
	}
	if arc := t.archive; t.waits.hasRoom() {
		t.forgetArchive()
		t.placeArchive(arc)
	}
}
