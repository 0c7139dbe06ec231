package aggregate

import (
	"fmt"
	"slices"

	"github.com/multiprom/multiprom/metric"
)

// All series of a histogram have the buckets of its family: those of all its files
// together. Workers that run a few versions of a program share most of them. Where each
// series has buckets of its own, the family would take the square of what the files have:
// 1 MB of them would take 400 MB here, and more as text. So the words of a family are
// bounded by those that were read.

const (
	roomPerWord = 16      // words of a family for each word of all files
	roomAtLeast = 1 << 16 // words of a family, however small the files are
)

// roomFor returns how many series a family of so many bounds can have, where the files have
// so many words.
func roomFor(words, bounds int) int {
	return int(max(1, (roomPerWord*int64(words)+roomAtLeast)/int64(bounds+1))) // int may have 32 bits
}

// measure has the families know how many series they have room for.
func (t *table) measure(files []*file, arc *archived) {
	words := int(arc.Bytes / 8)
	for _, f := range files {
		words += len(f.values) + len(f.removedValues)
	}
	for _, fam := range t.byName {
		if fam.schema.Type == metric.Histogram {
			fam.most = roomFor(words, len(fam.bounds))
		}
	}
}

// isFull reports whether the family has no room for another series.
func (f *family) isFull() bool {
	return f.schema.Type == metric.Histogram && len(f.free) == 0 && len(f.symbol) >= f.most
}

// waiting are the families that had no room for some series of a file, of the archive, or
// of client_python's files.
type waiting []*family

// add notes a family that has left out a series, if that was for want of room.
func (w *waiting) add(f *family) {
	if f != nil && f.isFull() && !slices.Contains(*w, f) {
		*w = append(*w, f)
	}
}

// hasRoom reports whether one of the families has room again.
func (w waiting) hasRoom() bool {
	return slices.ContainsFunc(w, func(f *family) bool { return !f.isFull() })
}

// placeLeftOut places what was left out again, as far as there is room for it now.
func (t *table) placeLeftOut(files []*file) {
	for _, f := range files {
		if f.part.waits.hasRoom() {
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
	if arc := t.archive; arc.waits.hasRoom() {
		t.forgetArchive()
		t.placeArchive(arc)
	}
	t.sweep()
}

// hasRoom returns why a file's histograms have no room in the archive.
func (a *archiver) hasRoom(f *file) error {
	series := f.histogramSeries()
	if len(series) == 0 {
		return nil
	}
	bounds := map[string][]float64{}
	for _, s := range f.families {
		if series[s.Name] > 0 && s.Type == metric.Histogram {
			bounds[s.Name] = union(bounds[s.Name], s.Bounds)
		}
	}
	for name, n := range series {
		all := bounds[name]
		if old := a.lookup(&metric.Schema{Name: name, Type: metric.Histogram}); old != nil {
			all, n = union(all, old.bounds), n+len(old.series)
		}
		if n > roomFor(a.words+len(f.values), len(all)) {
			return fmt.Errorf("%w: the histogram %s would have %d series of %d bounds each, of which hardly any has its own",
				ErrNotUnderstood, name, n, len(all))
		}
	}
	return nil
}

// histogramSeries returns how many series the file has of each histogram.
func (f *file) histogramSeries() map[string]int {
	out := map[string]int{}
	if f.python == nil {
		for s, n := range f.series.Counts() {
			if s.Type == metric.Histogram {
				out[s.Name] += n
			}
		}
		for i := range f.removed.Len() {
			if s := f.removed.Schema(i); s.Type == metric.Histogram {
				out[s.Name]++
			}
		}
		return out
	}
	keys := f.python.Keys()
	if keys.Kind().Type != metric.Histogram {
		return nil
	}
	seen := make([]bool, keys.Series())
	for _, n := range f.python.Records() {
		if s := keys.Keys()[n].Series; !seen[s] {
			seen[s] = true
			out[keys.Families()[keys.FamilyOf(s)].Name]++
		}
	}
	return out
}
