package aggregate

import (
	"slices"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// topology is which schemas which processes have. While it is the same,
// the choice of schemas stands, and the names of processes do.
type topology struct {
	known   bool // else it counts as changed
	archive mpm.ArchiveVersion
	files   []fileTopology
}

type fileTopology struct {
	file            *file
	name            string
	live            bool
	epoch, families int
	age             int64 // of one of client_python with gauges of its own: the newest is shown
}

// update reports whether the topology has changed.
func (t *topology) update(files []*file, arc *archived) bool {
	changed := !t.known || t.archive != arc.ArchiveVersion
	t.known, t.archive = true, arc.ArchiveVersion
	n := 0
	for _, f := range files {
		if !f.known {
			continue
		}
		now := fileTopology{file: f, name: f.name, live: f.live, epoch: f.epoch, families: len(f.families)}
		if f.python != nil && f.ownGauges() {
			now.age = f.age()
		}
		if n == len(t.files) {
			t.files = append(t.files, fileTopology{})
		}
		changed = changed || t.files[n] != now
		t.files[n] = now
		n++
	}
	changed = changed || n < len(t.files)
	clear(t.files[n:])
	t.files = t.files[:n]
	return changed
}

// choose decides for every name which schema is served (docs/lifecycle.md,
// "Which schema is served"). The choice follows from what the files and the
// archive say alone: every reader makes the same, before and after compaction.
func (t *table) choose(files []*file, arc *archived) {
	byName := map[string][]*offer{}
	for _, f := range files {
		for _, schema := range f.families {
			addOffer(byName, f.offer(schema))
		}
	}
	for i := range arc.Families {
		addOffer(byName, loadedOffer(&arc.Families[i]))
	}
	var chosen []*offer
	for _, ds := range byName {
		chosen = append(chosen, slices.MinFunc(ds, (*offer).compare))
	}
	// Of two names that share a sample name, one is served.
	slices.SortFunc(chosen, (*offer).compare)
	t.install(files, chosen)
}

// rename has the next plan name the processes again: somebody else has named them.
func (t *table) rename() { t.topology = topology{} }

// install makes the chosen schemas the table's.
func (t *table) install(files []*file, chosen []*offer) {
	old, clashed := t.byName, t.clashed
	t.byName, t.taken, t.clashed, t.sorted = map[string]*family{}, map[string]*family{}, map[string]bool{}, nil
	changed := false
	for _, d := range chosen {
		names := metric.SampleNames(d.schema.Name, d.schema.Type)
		if slices.ContainsFunc(names, func(n string) bool { return t.taken[n] != nil }) {
			t.clashed[d.schema.Name] = true
			continue
		}
		fam := old[d.schema.Name]
		if fam == nil || !compatible(fam.schema, d.schema) || !slices.Equal(fam.bounds, d.bounds) {
			changed = changed || fam != nil || clashed[d.schema.Name]
			fam = &family{name: d.schema.Name, bounds: d.bounds, symbols: t.symbols, recompute: true}
			fam.totals.stride = totalsWords(d.schema, d.bounds)
		}
		fam.schema = d.schema
		t.byName[fam.name] = fam
		for _, n := range names {
			t.taken[n] = fam
		}
	}
	for name, fam := range old {
		changed = changed || t.byName[name] != fam
	}
	if changed {
		for _, f := range files {
			t.forget(f)
		}
		t.forgetArchive()
		t.forgetPython(true)
	}
}
