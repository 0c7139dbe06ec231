package pyfile

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
)

// fileSchemas are what a file says of its families: one of each name. If its keys
// have several helps, the first one's counts, as with client_python. A histogram's
// bounds are the union over its series.
type fileSchemas struct {
	kind     Kind
	epoch    int
	schemas  []*metric.Schema
	all      []fileSchema // by first appearance
	byFamily map[*Family]int
	byName   map[string]int
	last     *Family // most records follow their like
	at       int     // of last, in all
}

type fileSchema struct {
	family  *Family   // the first of its name
	bounds  []float64 // finite, ascending
	added   []float64 // further ones, in any order
	shown   int       // in families, -1 where it is not there yet
	changed bool
}

// Epoch is raised when a schema that was returned before has changed. While
// it stays the same, Schemas only grows.
func (d *fileSchemas) Epoch() int { return d.epoch }

// Schemas returns the schemas, in the order of their appearance.
func (d *fileSchemas) Schemas() []*metric.Schema { return d.schemas }

// define notes what a record's key says of its family.
func (d *fileSchemas) define(k *Key, f *Family) {
	if d.last != f {
		n, known := d.byFamily[f]
		if !known {
			n = d.add(f)
		}
		d.last, d.at = f, n
	}
	if k.Part != Bucket || math.IsInf(k.Bound, 1) {
		return
	}
	def := &d.all[d.at]
	switch n := len(def.bounds); {
	case n == 0 || k.Bound > def.bounds[n-1]: // as clients write them
		def.bounds = append(def.bounds, k.Bound)
		def.changed = true
	case def.has(k.Bound):
	default:
		def.added = append(def.added, k.Bound)
		def.changed = true
		if len(def.added) > n { // else inserting each would take the square of the time
			def.sort()
		}
	}
}

func (d *fileSchema) has(bound float64) bool {
	_, there := slices.BinarySearch(d.bounds, bound)
	return there
}

// sort puts the bounds that were added in their places.
func (d *fileSchema) sort() {
	if len(d.added) > 0 {
		d.bounds = append(d.bounds, d.added...)
		slices.Sort(d.bounds)
		d.bounds = slices.Compact(d.bounds)
		d.added = nil
	}
}

// add notes a family that no record had so far, and returns its number.
func (d *fileSchemas) add(f *Family) int {
	n, known := d.byName[f.Name]
	if !known {
		if d.byName == nil {
			d.byFamily, d.byName = map[*Family]int{}, map[string]int{}
		}
		n = len(d.all)
		d.byName[f.Name] = n
		d.all = append(d.all, fileSchema{family: f, shown: -1, changed: true})
	}
	d.byFamily[f] = n
	return n
}

// settle brings Schemas up to date with the records that were read.
func (d *fileSchemas) settle() {
	for i := range d.all {
		def := &d.all[i]
		if !def.changed {
			continue
		}
		def.changed = false
		def.sort()
		schema := def.family.schema(d.kind, def.bounds)
		if def.shown < 0 {
			def.shown = len(d.schemas)
			d.schemas = append(d.schemas, schema)
			continue
		}
		d.schemas = slices.Clone(d.schemas) // others hold the old one
		d.schemas[def.shown] = schema
		d.epoch++
	}
}
