package pyfile

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
)

// fileSchemas are the schemas of a file, one per family name. If its keys have different
// helps, the first one counts, as in client_python. A histogram's bounds are the union over
// its series.
type fileSchemas struct {
	kind     Kind
	epoch    int
	schemas  []*metric.Schema
	all      []fileSchema // in the order of first appearance
	byFamily map[*Family]int
	byName   map[string]int
	last     *Family // most records have the same family as the one before
	at       int     // index of last in all
}

type fileSchema struct {
	family  *Family   // the first of this name
	bounds  []float64 // finite, ascending
	added   []float64 // more bounds, in any order
	shown   int       // index in families, -1 if it is not there yet
	changed bool
}

// Epoch is incremented when a schema that was returned before has changed. While it stays
// the same, Schemas only grows.
func (d *fileSchemas) Epoch() int { return d.epoch }

// Schemas returns the schemas in the order of appearance.
func (d *fileSchemas) Schemas() []*metric.Schema { return d.schemas }

// define notes the family that a record's key names.
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
	case n == 0 || k.Bound > def.bounds[n-1]: // the order in which clients write them
		def.bounds = append(def.bounds, k.Bound)
		def.changed = true
	case def.has(k.Bound):
	default:
		def.added = append(def.added, k.Bound)
		def.changed = true
		if len(def.added) > n { // inserting each one would take quadratic time
			def.sort()
		}
	}
}

func (d *fileSchema) has(bound float64) bool {
	_, there := slices.BinarySearch(d.bounds, bound)
	return there
}

// sort merges the added bounds into the sorted ones.
func (d *fileSchema) sort() {
	if len(d.added) > 0 {
		d.bounds = append(d.bounds, d.added...)
		slices.Sort(d.bounds)
		d.bounds = slices.Compact(d.bounds)
		d.added = nil
	}
}

// add adds a family that no record has had so far, and returns its number.
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

// settle updates Schemas for the records that were read.
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
		d.schemas = slices.Clone(d.schemas) // others hold the old slice
		d.schemas[def.shown] = schema
		d.epoch++
	}
}
