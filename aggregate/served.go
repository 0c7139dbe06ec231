package aggregate

import "github.com/multiprom/multiprom/metric"

// What others ask of the table: which families are served, and in whose place.

// names returns the names of the families that are served, in no order.
func (t *table) names() (out []string) {
	for name := range t.byName {
		out = append(out, name)
	}
	return out
}

// describe returns the schema of a family that is served, the bounds of all its files
// together, and how many series it showed last.
func (t *table) describe(name string) (schema *metric.Schema, bounds []float64, shown int) {
	f := t.byName[name]
	return f.schema, f.bounds, f.shown.len()
}

// serves reports whether series of that schema are in the view.
func (t *table) serves(schema *metric.Schema) bool { return t.familyOf(schema) != nil }

// winner returns the name of the family that is served where schema is not, and the name
// that they share; none if nobody has noticed the schema yet.
func (t *table) winner(schema *metric.Schema) (family, shared string) {
	if t.byName[schema.Name] != nil {
		return schema.Name, schema.Name
	}
	for _, name := range metric.SampleNames(schema.Name, schema.Type) {
		if fam := t.taken[name]; fam != nil {
			return fam.name, name
		}
	}
	return "", ""
}

// leftOut returns how many series were ever left out.
func (t *table) leftOut() uint64 { return t.conflicts }

// hasChosen reports whether schemas were chosen since it was asked last.
func (t *table) hasChosen() bool {
	chosen := t.rechosen
	t.rechosen = false
	return chosen
}
