package aggregate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// offer is one of the schemas of a name, with the processes that have it.
type offer struct {
	schema *metric.Schema // the newest process's, whose help is served
	first  int64          // when the first process that had it opened its file
	newest int64          // when the newest did
	live   bool           // a living process has it
	python string         // the first file of client_python that has it, by name; empty if none has
	bounds []float64      // of a histogram: the union
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

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
