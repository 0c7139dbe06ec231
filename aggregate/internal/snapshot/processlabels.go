package snapshot

import (
	"cmp"
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
)

// claimant is a process that would like to be shown under its label.
type claimant struct {
	file     *File // nil for a process in the archive
	archived int
	live     bool
	created  int64
	inc      mpm.Incarnation
}

// NameProcesses gives every file the value of its process label, unique among
// living processes: the eldest keeps the plain label, others get a suffix from
// their incarnation, and those beside a process of client_python too, whose id
// its files say. Among dead processes the newest has the label, unless a living
// one has it; the others are not shown.
//
// Of client_python's files only those count that have series of their process alone.
// Whether the process of another one lives must not show, since nobody knows before
// compaction.
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

// Age returns when the process opened its file, in nanoseconds since 1970. Of
// client_python's it is known only when the file was made or has grown.
func (f *File) Age() int64 {
	if f.Python != nil {
		return f.Python.Changed().UnixNano()
	}
	return f.Header.Created.UnixNano()
}
