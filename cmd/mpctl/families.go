package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/metric"
)

// shownFamily is a family in the output of `mpctl families --json`.
type shownFamily struct {
	shownSchema
	Merged    int             `json:"merged_series"`
	Conflicts []shownConflict `json:"conflicts"`
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
	var trust trustFlag
	cmd := &cobra.Command{
		Use:   "families [DIR]",
		Short: "list the metrics of a directory and their conflicts",
		Long: `List the metric families of a directory, one per row: name, type, mode (not of
counters, histograms, summaries and infos), series, and number of conflicts. A
conflict is a second schema of the same name, or of the name of one of the
family's samples. Its series are left out of the merged metrics.

Below the table, each conflict is shown with both schemas and the processes that
have them. To resolve it, give one of the metrics another name, or end the
processes that have the old schema. If only dead processes have it, use
mpctl gc --drop-family NAME.`,
		Example: "  mpctl families /dev/shm/app\n  mpctl families --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := existingDir(dir)
			if err != nil {
				return err
			}
			a, err := aggregate.Open(d, aggregate.Options{TrustUIDs: trust, NoSelfMetrics: true})
			if err != nil {
				return err
			}
			defer a.Close()
			families, err := inspect.Families(cmd.Context(), a)
			if err != nil {
				return err
			}
			if !asJSON {
				return printFamilies(cmd.OutOrStdout(), families)
			}
			items := []shownFamily{}
			for i := range families {
				items = append(items, describeFamilyStatus(&families[i]))
			}
			return printJSON(cmd.OutOrStdout(), items)
		},
	}
	addDirArg(cmd, &dir)
	trust.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the families as JSON")
	return cmd
}

func describeFamilyStatus(f *inspect.Family) shownFamily {
	out := shownFamily{shownSchema: describeSchema(&f.Schema), Merged: f.Merged, Conflicts: []shownConflict{}}
	for _, c := range f.Conflicts {
		out.Conflicts = append(out.Conflicts, shownConflict{c.Name, describeSchema(&c.Left)})
	}
	return out
}

func describeSchema(d *inspect.Schema) shownSchema {
	out := shownSchema{
		Name: d.Name, Type: d.Type.String(), Unit: d.Unit, Help: d.Help, Labels: d.Labels, Bounds: d.Bounds, States: d.States, Owners: []shownOwner{},
	}
	if hasMode(d.Type) {
		out.Mode = d.Mode.String()
	}
	for _, o := range d.Owners {
		out.Owners = append(out.Owners, shownOwner{o.File, o.Label, string(o.State), o.Series})
	}
	return out
}

// hasMode reports whether series of the type merge by a mode.
func hasMode(t metric.Type) bool { return t.LikeGauge() || t == metric.StateSet }

func printFamilies(w io.Writer, families []inspect.Family) error {
	var rows [][]string
	series := 0
	for i := range families {
		f := &families[i]
		mode := "-"
		if hasMode(f.Type) {
			mode = f.Mode.String()
		}
		series += f.Merged
		rows = append(rows, []string{f.Name, f.Type.String(), mode, strconv.Itoa(f.Merged), strconv.Itoa(len(f.Conflicts))})
	}
	if err := table(w, []string{"FAMILY", "TYPE", "MODE", "SERIES", "CONFLICTS"}, rows); err != nil {
		return err
	}
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
