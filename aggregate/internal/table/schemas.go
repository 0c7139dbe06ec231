package table

import (
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/openmetrics"
)

// topology is which processes there are and how many schemas they have. While it stays the
// same, so do the choice of schemas and the process labels.
type topology struct {
	known   bool // if not, it counts as changed
	archive mpm.ArchiveVersion
	files   []fileTopology
}

type fileTopology struct {
	file            *snapshot.File
	name            string
	live            bool
	epoch, families int
	age             int64 // of one of client_python with gauges of its own: the newest is shown
}

// update reports whether the topology has changed, and whether processes have come, gone,
// begun to live or died. If they have not, some have new schemas only.
func (t *topology) update(files []*snapshot.File, arc *snapshot.Archive) (changed, processes bool) {
	now := topology{known: true, archive: arc.ArchiveVersion, files: make([]fileTopology, 0, len(files))}
	for _, f := range files {
		if f.Known {
			one := fileTopology{file: f, name: f.Name, live: f.Live, epoch: f.Epoch, families: len(f.Families)}
			if f.Python != nil && f.OwnGauges() {
				one.age = f.Age()
			}
			now.files = append(now.files, one)
		}
	}
	processes = t.archive != now.archive || !slices.EqualFunc(t.files, now.files, func(was, is fileTopology) bool {
		was.families = is.families
		return was == is
	})
	changed = processes || !t.known || !slices.Equal(t.files, now.files)
	*t = now
	return changed, processes
}

// choose decides which schema of every name is served (docs/lifecycle.md, "Which schema is
// served"). The choice depends only on what the files and the archive say, so every reader
// makes the same, before and after a compaction.
func (t *Table) choose(files []*snapshot.File, arc *snapshot.Archive) {
	byName := map[string][]*sum.Offer{}
	for _, f := range files {
		for _, schema := range f.Families {
			sum.AddOffer(byName, f.Offer(schema))
		}
	}
	for i := range arc.Families {
		sum.AddOffer(byName, sum.StoredOffer(&arc.Families[i]))
	}
	var chosen []*sum.Offer
	t.rivals = false
	for _, ds := range byName {
		t.rivals = t.rivals || len(ds) > 1
		chosen = append(chosen, slices.MinFunc(ds, (*sum.Offer).Compare))
	}
	// Of two names that share a sample name, one is served.
	slices.SortFunc(chosen, (*sum.Offer).Compare)
	t.install(files, chosen)
}

// Rename has the next Plan name the processes again, because somebody else has named them.
func (t *Table) Rename() { t.topology.known = false }

// install gives the table a family for each chosen schema, and keeps those that it has.
func (t *Table) install(files []*snapshot.File, chosen []*sum.Offer) {
	old, clashed := t.byName, t.clashed
	t.byName, t.taken, t.clashed, t.sorted = map[string]*family{}, map[string]*family{}, map[string]bool{}, nil
	changed := false
	for _, d := range chosen {
		names := openmetrics.SampleNames(d.Schema.Name, d.Schema.Type)
		if slices.ContainsFunc(names, func(n string) bool { return t.taken[n] != nil }) {
			t.clashed[d.Schema.Name] = true
			continue
		}
		fam := old[d.Schema.Name]
		if fam != nil && t.isSparse(fam, files) {
			fam, t.renewed = nil, 0 // its symbols go too
			changed = true
		}
		if fam == nil || !sum.Compatible(fam.schema, d.Schema) || !slices.Equal(fam.bounds, d.Bounds) {
			changed = changed || fam != nil || clashed[d.Schema.Name]
			fam = &family{name: d.Schema.Name, bounds: d.Bounds, symbols: t.symbols, recompute: true}
			if fam.totals.stride = totalsWords(d.Schema, d.Bounds); sum.IsNative(d.Schema) {
				fam.native = &native{found: nowhere}
			}
		}
		fam.schema = d.Schema
		fam.ends.setRule(lifetime.Of(max(d.TTL(), sum.TTLOf(t.ttl, d.Schema))))
		t.byName[fam.name] = fam
		for _, n := range names {
			t.taken[n] = fam
		}
	}
	for name, fam := range old {
		changed = changed || t.byName[name] != fam
	}
	for _, p := range t.parts {
		p.series.watched = false
		for _, to := range p.series.targets {
			p.series.watched = p.series.watched || to.isWatched()
		}
	}
	if changed {
		for _, f := range files {
			t.forget(f)
		}
		t.forgetArchive()
		t.forgetPython()
	}
}
