package aggregate

import (
	"cmp"
	"slices"

	"github.com/multiprom/multiprom/mmapstore"
)

// claimant is a process that would like to be shown under its label.
type claimant struct {
	file     *file // nil for a process in the archive
	archived int
	live     bool
	created  int64
	inc      mmapstore.Incarnation
}

// nameProcesses gives every file the value of its process label, unique among
// living processes: the eldest keeps the plain label, others get a suffix from
// their incarnation. Among dead processes the newest has the label, unless a
// living one has it; the others are not shown.
func nameProcesses(files []*file, arc *archived) {
	byLabel := map[string][]claimant{}
	for _, f := range files {
		if f.python != nil {
			continue // several files are of one process: their names tell which
		}
		f.label = ""
		if f.known {
			h := &f.header
			byLabel[h.Label] = append(byLabel[h.Label], claimant{file: f, live: f.live, created: h.Created.UnixNano(), inc: h.Incarnation})
		}
	}
	for i, p := range arc.Processes {
		arc.shown[i] = false
		byLabel[p.Label] = append(byLabel[p.Label], claimant{archived: i, created: p.Created, inc: p.Incarnation})
	}
	for label, cs := range byLabel {
		slices.SortFunc(cs, claimant.compare)
		taken := false
		for _, c := range cs {
			switch {
			case !c.live:
			case !taken:
				c.file.label, taken = label, true
			default:
				c.file.label = label + "-" + c.inc.String()[:4]
			}
		}
		if newest := cs[len(cs)-1]; taken {
			continue
		} else if newest.file != nil {
			newest.file.label = label
		} else {
			arc.shown[newest.archived] = true
		}
	}
}

// compare orders processes by age, the eldest first.
func (c claimant) compare(o claimant) int {
	return cmp.Or(cmp.Compare(c.created, o.created), c.inc.Compare(o.inc))
}
