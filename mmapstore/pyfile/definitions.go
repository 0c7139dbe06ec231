package pyfile

import (
	"fmt"
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
)

// definitions are what a file says of its families: one of each name. If its keys
// have several helps, the first one's counts, as with client_python. A histogram's
// bounds are the union over its series, and without one it is none yet.
type definitions struct {
	kind     Kind
	epoch    int
	families []*metric.Schema
	all      []definition // by first appearance
	byFamily map[*Family]int
	byName   map[string]int
	last     *Family // most records follow their like
	at       int     // of last, in all
}

type definition struct {
	family  *Family   // the first of its name
	bounds  []float64 // finite, ascending
	shown   int       // in families, -1 where it is not there yet
	changed bool
}

// Epoch is raised when a definition that was returned before has changed. While
// it stays the same, Families only grows.
func (d *definitions) Epoch() int { return d.epoch }

// Families returns the definitions, in the order of their appearance.
func (d *definitions) Families() []*metric.Schema { return d.families }

// define notes what a record's key says of its family.
func (d *definitions) define(k *Key, f *Family) error {
	if d.last != f {
		n, known := d.byFamily[f]
		if !known {
			n = d.add(f)
		}
		d.last, d.at = f, n
	}
	if k.Part != Bucket || math.IsInf(k.Bound, 1) {
		return nil
	}
	def := &d.all[d.at]
	i, there := slices.BinarySearch(def.bounds, k.Bound)
	if there {
		return nil
	}
	if len(def.bounds) == metric.MaxBounds {
		return fmt.Errorf("the histogram %s has more than %d bucket bounds", f.Name, metric.MaxBounds)
	}
	def.bounds = slices.Insert(def.bounds, i, k.Bound)
	def.changed = true
	return nil
}

// add notes a family that no record had so far, and returns its number.
func (d *definitions) add(f *Family) int {
	n, known := d.byName[f.Name]
	if !known {
		if d.byName == nil {
			d.byFamily, d.byName = map[*Family]int{}, map[string]int{}
		}
		n = len(d.all)
		d.byName[f.Name] = n
		d.all = append(d.all, definition{family: f, shown: -1, changed: d.kind.Type != metric.Histogram})
	}
	d.byFamily[f] = n
	return n
}

// settle brings Families up to date with the records that were read.
func (d *definitions) settle() {
	for i := range d.all {
		def := &d.all[i]
		if !def.changed {
			continue
		}
		def.changed = false
		schema := def.family.schema(d.kind, def.bounds)
		if def.shown < 0 {
			def.shown = len(d.families)
			d.families = append(d.families, schema)
			continue
		}
		d.families = slices.Clone(d.families) // others hold the old one
		d.families[def.shown] = schema
		d.epoch++
	}
}
