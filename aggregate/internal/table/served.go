package table

import (
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// What others ask of the table: which families are served, and in whose place.

// Names returns the names of the families that are served, in no order.
func (t *Table) Names() (out []string) {
	for name := range t.byName {
		out = append(out, name)
	}
	return out
}

// Describe returns the schema of a family that is served, the bounds of all its files
// together, and how many series it showed last.
func (t *Table) Describe(name string) (schema *metric.Schema, bounds []float64, shown int) {
	f := t.byName[name]
	return f.schema, f.bounds, len(f.shown.rows)
}

// Serves reports whether series of that schema are in the view.
func (t *Table) Serves(schema *metric.Schema) bool { return t.familyOf(schema) != nil }

// Winner returns the name of the family that is served instead of a schema, and the name that
// both have. It returns empty names if no Plan has seen the schema yet.
func (t *Table) Winner(schema *metric.Schema) (family, shared string) {
	if t.byName[schema.Name] != nil {
		return schema.Name, schema.Name
	}
	for _, name := range openmetrics.SampleNames(schema.Name, schema.Type) {
		if fam := t.taken[name]; fam != nil {
			return fam.name, name
		}
	}
	return "", ""
}

// Conflicts reports whether some schema is not served.
func (t *Table) Conflicts() bool { return t.rivals || len(t.clashed) > 0 }

// LeftOut returns how many series have been left out so far.
func (t *Table) LeftOut() uint64 { return t.conflicts }

// HasChosen reports whether schemas were chosen since its last call.
func (t *Table) HasChosen() bool {
	chosen := t.rechosen
	t.rechosen = false
	return chosen
}
