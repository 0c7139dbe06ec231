package inspect

import (
	"context"
	"fmt"
	"strings"

	"github.com/multiprom/multiprom/metric"
)

// Families returns the families of the aggregator's merged view, also those that show no
// series, sorted by name. It reads the directory as Gather does.
var Families func(ctx context.Context, aggregator any) ([]Family, error)

// Conflicts returns what is left out of the aggregator's merged view, because processes
// define a metric in different ways, or define metrics whose samples have the same name. It
// is sorted by the name of the family that is served. It reads the directory as Gather does.
func Conflicts(ctx context.Context, aggregator any) ([]Conflict, error) {
	families, err := Families(ctx, aggregator)
	var out []Conflict
	for i := range families {
		out = append(out, families[i].Conflicts...)
	}
	return out, err
}

// Schema is one schema of a family, and who has it. Schemas that merge count as one: its help
// is the one that is served, its labels and bounds are those of all of them.
type Schema struct {
	Name   string
	Type   metric.Type
	Mode   metric.Mode // of a gauge or state set
	Help   string
	Unit   string
	Labels []string             // names, sorted: of the schemas, or of the first series if these have none
	Bounds []float64            // of a histogram
	States []string             // of a state set
	Native *metric.NativeSchema // of a histogram with native buckets, else nil
	Owners []Owner              // who has series of it, in the order of the files' names, the archive last
}

// Owner is a file with series of a schema.
type Owner struct {
	File   string // its name in the directory
	Label  string // the process label; empty for the archive
	State  string // of the process; Dead for the archive
	Series int
}

// Family is a family of the merged view.
type Family struct {
	Schema
	Merged    int        // series that are shown
	Conflicts []Conflict // what is left out because this family is served
}

// Conflict says that the series of a schema are left out of the view, because another schema
// is served under its name or under the name of one of its samples.
type Conflict struct {
	Name         string // the name that both have: the families' or, if those differ, a sample's
	Served, Left Schema
}

// String returns what distinguishes the schema from others, such as "gauge x of mode max".
func (d *Schema) String() string {
	out := d.Type.String() + " " + d.Name
	if d.Type.HasMode() {
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
	if d.Native != nil {
		with = append(with, "native buckets")
	}
	if d.Type == metric.Histogram && (d.Native == nil || len(d.Bounds) > 0) {
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

// String names the file and, if it belongs to one, the process.
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
		&c.Left, c.Left.Series(), OwnersOf(&c.Left), &c.Served, OwnersOf(&c.Served), why)
}

// OwnersOf names the first of those who have the schema.
func OwnersOf(d *Schema) string {
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
