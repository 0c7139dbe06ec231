package aggregate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// Schema is one schema of a family, and who has it. What merges is one
// schema: the help is then the one that is served, labels and bounds are those of all.
type Schema struct {
	Name   string
	Type   metric.Type
	Mode   metric.Mode // of a gauge or state set
	Help   string
	Unit   string
	Labels []string  // names, sorted: of the schemas, or of the first series where there are none
	Bounds []float64 // of a histogram
	States []string  // of a state set
	Owners []Owner   // who has series of it, in the order of the files' names, the archive last
}

// Owner is a file with series of a schema.
type Owner struct {
	File   string // its name in the directory
	Label  string // the process label; empty for the archive
	State  State  // of the process; Dead for the archive
	Series int
}

// FamilyStatus is a family of the merged view.
type FamilyStatus struct {
	Schema
	Merged    int        // series that are shown
	Conflicts []Conflict // what is left out since this family is served
}

// Conflict says that the series of a schema are left out of the view, since another
// offer is served under its name or under the name of one of its samples.
type Conflict struct {
	Name         string // that both have: the families', or where those differ a sample's
	Served, Left Schema
}

// Families returns the families of the merged view, sorted by name, those that show no
// series too. It reads the directory as Gather does.
func (a *Aggregator) Families(ctx context.Context) (out []FamilyStatus, err error) {
	a.scrape(ctx, true, func(_ []views.Family, e error) {
		if err = e; err == nil {
			out = a.census()
		}
	})
	return out, err
}

// Conflicts returns what is left out of the merged view, since processes define a metric
// differently, or metrics whose samples have the same name: sorted by the name of the
// family that is served. It reads the directory as Gather does. Options.Logger is told
// of each.
func (a *Aggregator) Conflicts(ctx context.Context) ([]Conflict, error) {
	families, err := a.Families(ctx)
	var out []Conflict
	for i := range families {
		out = append(out, families[i].Conflicts...)
	}
	return out, err
}

// String returns what distinguishes the schema from others, such as "gauge x of mode max".
func (d *Schema) String() string {
	out := d.Type.String() + " " + d.Name
	if sum.HasMode(d.schema()) {
		out += " of mode " + d.Mode.String()
	}
	var with []string
	for _, part := range []struct {
		noun string
		of   []string
	}{{"states", d.States}, {"labels", d.Labels}} {
		if len(part.of) > 0 {
			with = append(with, part.noun+" "+strings.Join(part.of, ", "))
		}
	}
	if d.Type == metric.Histogram {
		with = append(with, fmt.Sprintf("%d buckets", len(d.Bounds)+1))
	}
	if len(with) > 0 {
		out += " with " + strings.Join(with, " and ")
	}
	return out
}

// Series returns how many series the owners have.
func (d *Schema) Series() (n int) {
	for _, o := range d.Owners {
		n += o.Series
	}
	return n
}

// String names the file, and the process where it is of one.
func (o Owner) String() string {
	if o.Label == "" {
		return o.File
	}
	return fmt.Sprintf("%s (%s, %s)", o.File, o.Label, o.State)
}

// String says it in a line.
func (c *Conflict) String() string {
	why := "instead of it"
	if c.Served.Name != c.Left.Name {
		why = "under the name " + c.Name
	}
	return fmt.Sprintf("%s, %d series in %s, is left out: %s in %s is served %s",
		&c.Left, c.Left.Series(), ownersOf(&c.Left), &c.Served, ownersOf(&c.Served), why)
}

// ownersOf names the first of those who have the schema.
func ownersOf(d *Schema) string {
	const most = 3
	var out []string
	for _, o := range d.Owners[:min(most, len(d.Owners))] {
		out = append(out, o.String())
	}
	if more := len(d.Owners) - most; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}

// census finds out which schemas there are, and who has them.
func (a *Aggregator) census() []FamilyStatus {
	t := a.table
	served := map[string]*FamilyStatus{}
	for _, name := range t.Names() {
		schema, bounds, shown := t.Describe(name)
		served[name] = &FamilyStatus{Schema: schemaOf(schema, bounds), Merged: shown}
	}
	type loser struct {
		Schema
		to, name string
	}
	var left []*loser
	note := func(schema *metric.Schema, o Owner, first metric.Labels) {
		if o.Series == 0 {
			return
		}
		if t.Serves(schema) {
			served[schema.Name].own(schema, o, first)
			return
		}
		to, name := t.Winner(schema)
		i := slices.IndexFunc(left, func(l *loser) bool { return l.Name == schema.Name && sum.Compatible(l.schema(), schema) })
		switch {
		case to == "":
			return // nobody has noticed it yet
		case i < 0:
			i = len(left)
			left = append(left, &loser{schemaOf(schema, nil), to, name})
		}
		left[i].own(schema, o, first)
	}
	for _, f := range a.snapshot.Files {
		if f.Known {
			o := Owner{File: f.Name, Label: cmp.Or(f.Label, f.Header.Label), State: stateOfProcess(f)}
			if f.Python != nil && !f.Live {
				o.State = Dead
			}
			f.CountSeries(func(schema *metric.Schema, n int, first metric.Labels) {
				o.Series = n
				note(schema, o, first)
			})
		}
	}
	archive := a.snapshot.Archive
	for i := range archive.Families {
		f := &archive.Families[i]
		var first metric.Labels
		if f.Series.Len() > 0 {
			first = f.Series.AppendLabels(nil, 0)
		}
		note(f.Schema, Owner{File: mpm.ArchiveName, State: Dead, Series: f.Series.Len()}, first)
	}
	for _, l := range left {
		to := served[l.to]
		to.Conflicts = append(to.Conflicts, Conflict{Name: l.name, Served: to.Schema, Left: l.Schema})
	}
	out := make([]FamilyStatus, 0, len(served))
	for _, f := range served {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(f, g FamilyStatus) int { return strings.Compare(f.Name, g.Name) })
	return out
}

func schemaOf(s *metric.Schema, bounds []float64) Schema {
	return Schema{Name: s.Name, Type: s.Type, Mode: s.Mode, Help: s.Help, Unit: s.Unit, Bounds: bounds, States: s.States}
}

// schema returns what decides whether another schema merges with it.
func (d *Schema) schema() *metric.Schema {
	return &metric.Schema{Name: d.Name, Type: d.Type, Mode: d.Mode, States: d.States}
}

// own adds one who has the schema, as schema says it, with the labels of one series
// where schema does not say them.
func (d *Schema) own(schema *metric.Schema, o Owner, first metric.Labels) {
	// One file may have a name several times, with other constant labels.
	if n := len(d.Owners); n > 0 && d.Owners[n-1].File == o.File {
		d.Owners[n-1].Series += o.Series
	} else {
		d.Owners = append(d.Owners, o)
	}
	labels := slices.Clone(schema.Labels)
	for _, l := range slices.Concat(schema.Const, first) {
		labels = append(labels, l.Name)
	}
	for _, name := range labels {
		if i, there := slices.BinarySearch(d.Labels, name); !there {
			d.Labels = slices.Insert(d.Labels, i, name)
		}
	}
	if !slices.Equal(d.Bounds, schema.Bounds) {
		d.Bounds = sum.Union(d.Bounds, schema.Bounds)
	}
}

// leavesOut reports whether there is a schema that is not served.
func (a *Aggregator) leavesOut() bool {
	left := func(s *metric.Schema) bool { return !a.table.Serves(s) }
	return slices.ContainsFunc(a.snapshot.Files, func(f *snapshot.File) bool { return slices.ContainsFunc(f.Families, left) }) ||
		slices.ContainsFunc(a.snapshot.Archive.Families, func(f mpm.StoredFamily) bool { return left(f.Schema) })
}

// newConflicts returns those of which the log was not told.
func (a *Aggregator) newConflicts() (out []Conflict) {
	if a.opts.Logger == nil {
		return nil
	}
	chosen, leftOut := a.table.HasChosen(), a.table.LeftOut()
	if !chosen && leftOut == a.toldOf {
		return nil
	}
	a.toldOf = leftOut
	if !a.leavesOut() {
		return nil
	}
	for _, f := range a.census() {
		for _, c := range f.Conflicts {
			if a.told.first(sum.SeriesKey(c.Served.schema(), nil) + sum.SeriesKey(c.Left.schema(), nil)) {
				out = append(out, c)
			}
		}
	}
	return out
}

// tell tells the log of conflicts.
func (a *Aggregator) tell(conflicts []Conflict) {
	for i := range conflicts {
		c := &conflicts[i]
		a.opts.Logger.Warn("a metric is defined in two ways, series of one are left out",
			"name", c.Name, "served", c.Served.String(), "served_of", ownersOf(&c.Served),
			"left_out", c.Left.String(), "left_out_of", ownersOf(&c.Left), "series", c.Left.Series())
	}
}

// told is what a log was told, so that it is told once.
type told map[string]bool

// first reports whether this is the first time.
func (t *told) first(key string) bool {
	const most = 1000 // what keeps changing is not worth remembering
	if *t == nil || len(*t) >= most {
		*t = told{}
	}
	known := (*t)[key]
	(*t)[key] = true
	return !known
}
