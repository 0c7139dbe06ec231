package aggregate

import (
	"cmp"
	"slices"
	"strings"

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

// offer is one of the schemas of a name, with the processes that have it.
type offer struct {
	schema *metric.Schema // the newest process's, whose help is served
	first  int64          // when the first process that had it opened its file
	newest int64          // when the newest did
	live   bool           // a living process has it
	python string         // the first file of client_python that has it, by name; empty if none has
	bounds []float64      // of a histogram: the union
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

// offer is what the file says of one of its families.
func (f *file) offer(schema *metric.Schema) offer {
	created := f.header.Created.UnixNano()
	d := offer{schema: schema, first: created, newest: created, live: f.live, bounds: schema.Bounds}
	if f.python != nil {
		d.python = pythonOriginal(f.name)
	}
	return d
}

// loadedOffer is what the archive says of one of its families.
func loadedOffer(f *mpm.StoredFamily) offer {
	return offer{schema: f.Schema, first: f.First, newest: f.Newest, python: f.PythonFile, bounds: f.Schema.Bounds}
}

// compare orders schemas by which is served first. It looks at nothing that
// compaction changes or forgets.
func (d *offer) compare(o *offer) int {
	var order int
	switch {
	case d.python != "" || o.python != "":
		// Nobody knows how old client_python's files are, nor, before they are set
		// aside, whether their processes live. So their names decide.
		order = compareFirst(d.python, o.python)
	case d.live && o.live:
		order = cmp.Compare(d.first, o.first)
	default:
		order = cmp.Or(compareBool(o.live, d.live), cmp.Compare(o.newest, d.newest))
	}
	s, r := d.schema, o.schema
	return cmp.Or(order, strings.Compare(s.Name, r.Name), cmp.Compare(s.Type, r.Type), cmp.Compare(s.Mode, r.Mode), slices.Compare(s.States, r.States))
}

// compareFirst orders names of files; none comes last.
func compareFirst(a, b string) int {
	return cmp.Or(compareBool(a == "", b == ""), strings.Compare(a, b))
}

// addOffer adds a schema to those of its name.
func addOffer(byName map[string][]*offer, d offer) {
	for _, o := range byName[d.schema.Name] {
		if compatible(o.schema, d.schema) {
			o.include(d)
			return
		}
	}
	byName[d.schema.Name] = append(byName[d.schema.Name], &d)
}

// include adds the processes of a compatible schema.
func (d *offer) include(o offer) {
	if o.compareHelp(d) < 0 {
		d.schema = o.schema
	}
	d.first, d.newest = min(d.first, o.first), max(d.newest, o.newest)
	if compareFirst(o.python, d.python) < 0 {
		d.python = o.python
	}
	d.live = d.live || o.live
	if !slices.Equal(d.bounds, o.bounds) {
		d.bounds = union(d.bounds, o.bounds)
	}
}

// compareHelp orders compatible schemas by whose help and unit are served: the
// newest process's, or, if only client_python has it, that of the first file.
func (d *offer) compareHelp(o *offer) int {
	order := cmp.Compare(o.newest, d.newest)
	if d.newest == 0 && o.newest == 0 {
		order = compareFirst(d.python, o.python)
	}
	return cmp.Or(order, strings.Compare(d.schema.Help, o.schema.Help), strings.Compare(d.schema.Unit, o.schema.Unit))
}

// union returns the bucket bounds of both.
func union(a, b []float64) []float64 {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

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
