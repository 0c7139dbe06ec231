package snapshot

import (
	"cmp"
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
)

// claimant is a process that has series of its own and wants to be shown under its label.
type claimant struct {
	file     *File // nil for a process in the archive
	archived int
	live     bool
	created  int64
	inc      mpm.Incarnation
}

// NameProcesses gives every file the value of its process label, unique among living
// processes. The eldest keeps the plain label, and the others get a suffix from their
// incarnation. A process of client_python always keeps the plain label, because the names
// of its files say it. Among dead processes the newest has the label, unless a living one
// has it; the others are not shown.
//
// A file of client_python takes part only if it has series of its process alone. Whether
// the process of any other file lives must not change the view, because nobody knows it
// before compaction.
func NameProcesses(files []*File, arc *Archive) {
	byLabel := map[string][]claimant{}
	python := map[string]bool{}  // ids of living processes of client_python that have such series
	lasting := map[string]bool{} // those of which some stay when they have died
	for _, f := range files {
		f.Label = ""
		h := &f.Header
		if !f.Known {
			continue
		}
		c := claimant{file: f, live: f.Live, created: f.Age(), inc: h.Incarnation}
		switch {
		case f.Python != nil && !sum.KindIsOwn(f.Python.Keys().Kind()):
			f.Label = h.Label
			continue // it says nothing of a single process
		case f.Python != nil && f.Live:
			f.Label, python[h.Label] = h.Label, true
			lasting[h.Label] = lasting[h.Label] || f.OwnGauges()
			continue
		case f.Python != nil && !f.OwnGauges():
			continue
		}
		byLabel[h.Label] = append(byLabel[h.Label], c)
	}
	for i, p := range arc.Processes {
		arc.shown[i] = false
		byLabel[p.Label] = append(byLabel[p.Label], claimant{archived: i, created: p.Created, inc: p.Incarnation})
	}
	for label, cs := range byLabel {
		slices.SortFunc(cs, claimant.compare)
		plain, taken := !python[label], lasting[label]
		for _, c := range cs {
			switch {
			case !c.live:
				continue
			case plain:
				c.file.Label, plain = label, false
			default:
				c.file.Label = label + "-" + c.inc.String()[:4]
			}
			taken = true
		}
		if newest := cs[len(cs)-1]; taken {
			continue
		} else if newest.file != nil {
			newest.file.Label = label
		} else {
			arc.shown[newest.archived] = true
		}
	}
}

// compare orders processes by age, the eldest first.
func (c claimant) compare(o claimant) int {
	return cmp.Or(cmp.Compare(c.created, o.created), c.inc.Compare(o.inc))
}

// Age returns when the process opened its file, in nanoseconds since 1970. For a file of
// client_python it is when the file was made or last grew; no more is known.
func (f *File) Age() int64 {
	if f.Python != nil {
		return f.Python.Changed().UnixNano()
	}
	return f.Header.Created.UnixNano()
}
