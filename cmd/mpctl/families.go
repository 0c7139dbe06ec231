package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/glance"
	"github.com/multiprom/multiprom/internal/inspect"
)

// shownFamily is a family in the output of `mpctl families --json`.
type shownFamily struct {
	shownSchema
	Merged    int                  `json:"merged_series"`
	Bytes     int64                `json:"bytes"`             // of the series in the files of processes
	Rate      *float64             `json:"rate,omitempty"`    // increments or observations a second
	Changes   *float64             `json:"changes,omitempty"` // series that were found changed, a second
	Values    []glance.LabelValues `json:"label_values,omitempty"`
	Conflicts []shownConflict      `json:"conflicts"`
}

type shownSchema struct {
	Name   string       `json:"name"`
	Type   string       `json:"type"`
	Mode   string       `json:"mode,omitempty"`
	Unit   string       `json:"unit,omitempty"`
	Help   string       `json:"help"`
	Labels []string     `json:"labels,omitempty"`
	Bounds []float64    `json:"bounds,omitempty"`
	States []string     `json:"states,omitempty"`
	Owners []shownOwner `json:"owners"`
}

type shownOwner struct {
	File   string `json:"file"`
	Label  string `json:"process_id,omitempty"`
	State  string `json:"state"`
	Series int    `json:"series"`
}

// shownConflict is a schema that is left out, with the name that it shares with
// the family.
type shownConflict struct {
	Name string      `json:"name"`
	Left shownSchema `json:"left_out"`
}

func newFamilies() *cobra.Command {
	var dir string
	var asJSON bool
	var every time.Duration
	var values int
	var trust trustFlag
	cmd := &cobra.Command{
		Use:   "families [DIR]",
		Short: "list the metrics of a directory and their conflicts",
		Long: `List the metric families of a directory, one per row: name, type, mode (not of
counters, histograms, summaries and infos), series, bytes of its series in the
files of processes, and number of conflicts. With --every, there are two columns
more: what it counts, and how many series change, a second. With --values, the
values with the most series follow for each label.

A conflict is a second schema of the same name, or of the name of one of the
family's samples. Its series are left out of the merged metrics.

One metric's values are shown by mpctl dump NAME.

The cost is that of two scrapes, and of one more with --every. --values also
looks at the labels of every series.

Below the table, each conflict is shown with both schemas and the processes that
have them. To resolve it, give one of the metrics another name, or end the
processes that have the old schema. If only dead processes have it, use
mpctl gc --drop-family NAME.`,
		Example: "  mpctl families /dev/shm/app\n  mpctl families /dev/shm/app --every 10s --values 3\n  mpctl families --json | jq '.[] | select(.merged_series > 1000) | .name'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := openView(dir, aggregate.Options{TrustUIDs: trust, NoSelfMetrics: true})
			if err != nil {
				return err
			}
			defer a.Close()
			families, err := inspect.Families(cmd.Context(), a)
			if err != nil {
				return err
			}
			seen, err := glance.New(a, glance.Options{Values: values}).Over(cmd.Context(), every)
			if err != nil {
				return err
			}
			byName := map[string]*glance.Family{}
			for i := range seen.Families {
				byName[seen.Families[i].Name] = &seen.Families[i]
			}
			items := []shownFamily{}
			for i := range families {
				items = append(items, describeFamilyStatus(&families[i], byName[families[i].Name]))
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), items)
			}
			return printFamilies(cmd.OutOrStdout(), families, items, every > 0)
		},
	}
	addDirArg(cmd, &dir)
	trust.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the families as JSON")
	cmd.Flags().DurationVar(&every, "every", 0, "look twice, this long apart, for rates (default once)")
	cmd.Flags().IntVar(&values, "values", 0, "how many values of each label to show (default none)")
	obey(cmd, longerThanZero("; leave it out to look once"), "every")
	obey(cmd, atLeast(1, "; leave it out for none"), "values")
	return cmd
}

// describeFamilyStatus describes a family. seen may be nil, if the family came or went meanwhile.
func describeFamilyStatus(f *inspect.Family, seen *glance.Family) shownFamily {
	out := shownFamily{shownSchema: describeSchema(&f.Schema), Merged: f.Merged, Conflicts: []shownConflict{}}
	for _, c := range f.Conflicts {
		out.Conflicts = append(out.Conflicts, shownConflict{c.Name, describeSchema(&c.Left)})
	}
	if seen != nil {
		out.Bytes, out.Rate, out.Changes, out.Values = seen.Bytes, seen.Rate, seen.Changes, seen.Values
	}
	return out
}

func describeSchema(d *inspect.Schema) shownSchema {
	out := shownSchema{
		Name: d.Name, Type: d.Type.String(), Unit: d.Unit, Help: d.Help, Labels: d.Labels, Bounds: d.Bounds, States: d.States, Owners: []shownOwner{},
	}
	if d.Type.HasMode() {
		out.Mode = d.Mode.String()
	}
	for _, o := range d.Owners {
		out.Owners = append(out.Owners, shownOwner{o.File, o.Label, string(o.State), o.Series})
	}
	return out
}

func printFamilies(w io.Writer, families []inspect.Family, items []shownFamily, rates bool) error {
	columns := []column{{title: "FAMILY", left: true}, {title: "TYPE", left: true, order: 1}, {title: "MODE", left: true, order: 2}, {title: "SERIES"}, {title: "BYTES"}}
	if rates {
		columns = append(columns, column{title: "RATE/s"}, column{title: "CHANGES/s"})
	}
	g := grid{columns: append(columns, column{title: "CONFLICTS", order: 3}), whole: true} // conflicts follow in full
	series := 0
	for i := range families {
		f := &families[i]
		mode := "-"
		if f.Type.HasMode() {
			mode = f.Mode.String()
		}
		series += f.Merged
		row := []string{f.Name, f.Type.String(), mode, strconv.Itoa(f.Merged), strconv.FormatInt(items[i].Bytes, 10)}
		if rates {
			row = append(row, glance.ShortOf(items[i].Rate), glance.ShortOf(items[i].Changes))
		}
		g.rows = append(g.rows, append(row, strconv.Itoa(len(f.Conflicts))))
	}
	if err := g.print(w); err != nil {
		return err
	}
	printLabelValues(w, items)
	for i := range families {
		for _, c := range families[i].Conflicts {
			fmt.Fprintf(w, "\nconflict of %s:\n", printable(c.Name))
			printSchema(w, "served", &c.Served)
			printSchema(w, "left out", &c.Left)
		}
	}
	_, err := fmt.Fprintf(w, "\n%s, %d series\n", plural(len(families), "family"), series)
	return err
}

// printLabelValues prints the values that most series have, if somebody has asked for them.
func printLabelValues(w io.Writer, items []shownFamily) {
	for i := range items {
		for _, v := range items[i].Values {
			var top []string
			for _, value := range v.Top {
				top = append(top, fmt.Sprintf("%q %d", value.Value, value.Series))
			}
			fmt.Fprintf(w, "\n%s: label %s has %s: %s", printable(items[i].Name), printable(v.Label), plural(v.Distinct, "value"), strings.Join(top, ", "))
		}
		if len(items[i].Values) > 0 {
			fmt.Fprintln(w)
		}
	}
}

// printSchema prints a schema and a line for each of its owners.
func printSchema(w io.Writer, what string, d *inspect.Schema) {
	const most = 5
	fmt.Fprintf(w, "  %s: %s, %d series\n", what, printable(d.String()), d.Series())
	if d.Help != "" {
		fmt.Fprintf(w, "    help: %s\n", printable(d.Help))
	}
	for i, o := range d.Owners {
		if i == most {
			fmt.Fprintf(w, "    and %d more\n", len(d.Owners)-most)
			break
		}
		fmt.Fprintf(w, "    %s\n", printable(o.String()))
	}
}
