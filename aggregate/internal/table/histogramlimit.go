package table

import (
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

// wait notes a family that has left out a series, if the family is full.
func (t *Table) wait(f *family) {
	if f != nil && f.isFull() {
		t.waits[f] = true
	}
}

// placeLeftOut places everything again if one of the families that have left out series has room
// now.
func (t *Table) placeLeftOut(files []*snapshot.File) {
	if len(t.waits) == 0 {
		return
	}
	t.sweep(files) // it makes room
	room := false
	for f := range t.waits {
		room = room || !f.isFull()
	}
	if !room {
		return
	}
	clear(t.waits)
	arc := t.archive
	t.forgetAll(files)
	for _, f := range files {
		t.planFile(f)
	}
	t.placeArchive(arc)
}
