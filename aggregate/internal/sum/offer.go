package sum

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Offer is one of the schemas of a name, with the processes that have it.
type Offer struct {
	Schema *metric.Schema // the newest process's, whose help is served
	First  int64          // when the first process that had it opened its file
	Newest int64          // when the newest did
	Live   bool           // a living process has it
	Python string         // the first file of client_python that has it, by name; empty if none has
	Bounds []float64      // of a histogram: the union

	longest time.Duration // TTL of the living processes that have it
}

// TTL is the time to live of its series, 0 for none: of several the longest. If no living
// process has it, it is that of the newest dead one, so a program may change it.
func (d *Offer) TTL() time.Duration {
	if d.Live {
		return d.longest
	}
	return d.Schema.TTL
}

// NewOffer returns what a process says of one of its schemas. created is when it opened its
// file, and python is the name of one of client_python.
func NewOffer(schema *metric.Schema, created int64, live bool, python string) Offer {
	d := Offer{Schema: schema, First: created, Newest: created, Live: live, Python: python, Bounds: schema.Bounds}
	if live {
		d.longest = schema.TTL
	}
	return d
}

// StoredOffer is what the archive says of one of its families.
func StoredOffer(f *mpm.StoredFamily) Offer {
	return Offer{Schema: f.Schema, First: f.First, Newest: f.Newest, Python: f.PythonFile, Bounds: f.Schema.Bounds}
}

// Compare orders the offers of a name: the first is served. It uses nothing that compaction
// changes or forgets (docs/lifecycle.md, "Which schema is served").
func (d *Offer) Compare(o *Offer) int {
	var order int
	switch {
	case d.Python != "" || o.Python != "":
		// Nobody knows how old client_python's files are, or whether their processes
		// live before they are set aside. So their names decide.
		order = compareFirst(d.Python, o.Python)
	case d.Live && o.Live:
		order = cmp.Compare(d.First, o.First)
	default:
		order = cmp.Or(compareBool(o.Live, d.Live), cmp.Compare(o.Newest, d.Newest))
	}
	s, r := d.Schema, o.Schema
	return cmp.Or(order, strings.Compare(s.Name, r.Name), cmp.Compare(s.Type, r.Type), cmp.Compare(s.Mode, r.Mode), slices.Compare(s.States, r.States))
}

// compareFirst orders names of files; none comes last.
func compareFirst(a, b string) int {
	return cmp.Or(compareBool(a == "", b == ""), strings.Compare(a, b))
}

// AddOffer adds an offer to those of its name, or to the compatible one among them.
func AddOffer(byName map[string][]*Offer, d Offer) {
	for _, o := range byName[d.Schema.Name] {
		if Compatible(o.Schema, d.Schema) {
			o.Include(d)
			return
		}
	}
	byName[d.Schema.Name] = append(byName[d.Schema.Name], &d)
}

// Include adds the processes of an offer with a compatible schema.
func (d *Offer) Include(o Offer) {
	if o.compareHelp(d) < 0 {
		d.Schema = o.Schema
	}
	d.First, d.Newest = min(d.First, o.First), max(d.Newest, o.Newest)
	d.longest = max(d.longest, o.longest)
	if compareFirst(o.Python, d.Python) < 0 {
		d.Python = o.Python
	}
	d.Live = d.Live || o.Live
	if !slices.Equal(d.Bounds, o.Bounds) {
		d.Bounds = Union(d.Bounds, o.Bounds)
	}
}

// compareHelp orders compatible offers by whose help and unit are served: those of the
// newest process or, if only client_python has the schema, of the first file by name.
func (d *Offer) compareHelp(o *Offer) int {
	order := cmp.Compare(o.Newest, d.Newest)
	if d.Newest == 0 && o.Newest == 0 {
		order = compareFirst(d.Python, o.Python)
	}
	return cmp.Or(order, strings.Compare(d.Schema.Help, o.Schema.Help), strings.Compare(d.Schema.Unit, o.Schema.Unit))
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
