package aggregate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// topology is which definitions which processes have. While it is the same,
// the choice of definitions stands, and the names of processes do.
type topology struct {
	archive mmapstore.ArchiveVersion
	files   []fileTopology
}

type fileTopology struct {
	file            *file
	name            string
	live            bool
	epoch, families int
	age             int64 // of one of client_python, whose file may have grown
}

// update reports whether the topology has changed.
func (t *topology) update(files []*file, arc *archived) bool {
	changed := t.archive != arc.ArchiveVersion
	t.archive = arc.ArchiveVersion
	n := 0
	for _, f := range files {
		if !f.known {
			continue
		}
		now := fileTopology{file: f, name: f.name, live: f.live, epoch: f.epoch, families: len(f.families)}
		if f.python != nil {
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

// definition is one of the definitions of a name, with the processes that have it.
type definition struct {
	schema *metric.Schema // the newest process's, whose help is served
	first  int64          // when the first process that had it opened its file
	newest int64          // when the newest did
	live   bool           // a living process has it
	order  int            // of the first file that has it, by name: where ages are unknown it decides
	bounds []float64      // of a histogram: the union
}

// choose decides for every name which definition is served: where living
// processes have several, the one that was seen first, so that a canary does
// not blank a metric; where none lives, the newest. The choice follows from the
// files alone: every reader makes the same, before and after folding.
func (t *table) choose(files []*file, arc *archived) {
	byName := map[string][]*definition{}
	for i, f := range files {
		created := f.header.Created.UnixNano()
		for _, schema := range f.families {
			offer(byName, definition{schema: schema, first: created, newest: created, live: f.live, order: i})
		}
	}
	for i := range arc.Families {
		f := &arc.Families[i]
		offer(byName, definition{schema: f.Schema, first: f.First, newest: f.Newest})
	}
	var chosen []*definition
	for _, ds := range byName {
		chosen = append(chosen, slices.MinFunc(ds, (*definition).compare))
	}
	// Of two names that share a sample name, one is served.
	slices.SortFunc(chosen, (*definition).compare)
	t.install(files, chosen)
}

// compare orders definitions by who is served first.
func (d *definition) compare(o *definition) int {
	age := cmp.Compare(o.newest, d.newest)
	if d.live && o.live {
		age = cmp.Compare(d.first, o.first)
	}
	// Of client_python's files none says when its process began: then their order decides.
	return cmp.Or(compareBool(o.live, d.live), age, cmp.Compare(d.order, o.order), strings.Compare(d.schema.Name, o.schema.Name),
		cmp.Compare(d.schema.Type, o.schema.Type), cmp.Compare(d.schema.Mode, o.schema.Mode))
}

// offer adds a definition to those of its name.
func offer(byName map[string][]*definition, d definition) {
	d.bounds = d.schema.Bounds
	for _, o := range byName[d.schema.Name] {
		if compatible(o.schema, d.schema) {
			o.include(d)
			return
		}
	}
	byName[d.schema.Name] = append(byName[d.schema.Name], &d)
}

// include adds the processes of a compatible definition.
func (d *definition) include(o definition) {
	d.first = min(d.first, o.first)
	if o.newest > d.newest {
		d.newest, d.schema = o.newest, o.schema
	}
	d.live = d.live || o.live
	if !slices.Equal(d.bounds, o.bounds) {
		d.bounds = union(d.bounds, o.bounds)
	}
}

// union returns the bucket bounds of both.
func union(a, b []float64) []float64 {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// install makes the chosen definitions the table's.
func (t *table) install(files []*file, chosen []*definition) {
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
			fam = &family{name: d.schema.Name, bounds: d.bounds, texts: t.texts, dirty: true}
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
		for _, fam := range t.byName {
			fam.dirty = true // what is forgotten need not be withdrawn
		}
		for _, f := range files {
			t.forget(f)
		}
		t.forgetArchive()
		t.forgetPython(true)
	}
}
