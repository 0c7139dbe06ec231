package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// inspection is a file of any kind, as `mpctl inspect` shows it.
type inspection struct {
	File     string            `json:"file"`
	Kind     string            `json:"kind"` // native, python, ruby or archive
	Bytes    int64             `json:"bytes"`
	Series   int               `json:"series"`
	Native   *inspectedNative  `json:"native,omitempty"`
	Python   *inspectedPython  `json:"python,omitempty"`
	Archive  *inspectedArchive `json:"archive,omitempty"`
	Families []inspectedFamily `json:"families"`
	Damage   []inspectedDamage `json:"damage,omitempty"`
}

// inspectedFamily is a schema and its series.
type inspectedFamily struct {
	Name   string            `json:"name"`
	Type   string            `json:"type"`
	Mode   string            `json:"mode,omitempty"`
	Unit   string            `json:"unit,omitempty"`
	Help   string            `json:"help"`
	Labels []string          `json:"labels,omitempty"` // names
	Bounds []float64         `json:"bounds,omitempty"`
	Native *declaredNative   `json:"native,omitempty"` // of a histogram with native buckets
	States []string          `json:"states,omitempty"`
	TTL    float64           `json:"ttl_seconds,omitempty"` // 0: its series never expire
	Series []inspectedSeries `json:"series"`
}

// inspectedSeries is one series. Numbers that may be NaN or infinite are strings,
// because JSON has neither.
type inspectedSeries struct {
	Labels  map[string]string `json:"labels"`
	Process string            `json:"process,omitempty"` // of a gauge in the archive
	Created time.Time         `json:"created,omitzero"`
	Active  time.Time         `json:"active,omitzero"`  // of a family with a TTL: when it was last seen to change
	Idle    bool              `json:"idle,omitempty"`   // since then, the TTL has passed: this part alone is not shown
	Offset  int64             `json:"offset,omitempty"` // of its record; in a file of client_python, of its first record

	Value   string                  `json:"value,omitempty"` // of a counter, a gauge or a state set; "unset"
	Time    time.Time               `json:"time,omitzero"`   // when it was set, in the mostrecent modes
	Sum     string                  `json:"sum,omitempty"`
	Count   string                  `json:"count,omitempty"`
	Buckets []inspectedBucket       `json:"buckets,omitempty"`
	Native  *inspectedNativeBuckets `json:"native,omitempty"`
	Words   []string                `json:"words"` // the stored words in hexadecimal, in file order

	Exemplars []inspectedExemplar `json:"exemplars,omitempty"`
}

// inspectedBucket is a bucket's own count, without those below it.
type inspectedBucket struct {
	Le    string `json:"le"`
	Count string `json:"count"`
}

type inspectedExemplar struct {
	Le     string            `json:"le,omitempty"` // of a histogram's bucket
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
	Time   time.Time         `json:"time"`
}

type inspectedDamage struct {
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
}

func newInspect() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE...",
		Short: "show the header, families, series and raw values of files",
		Long: `Show the content of files: a process's file, a file of client_python, or the
archive. The header comes first, then a row per family, then the series with the
offsets of their records. Patterns in quotes are expanded.

With --json the output is an array with an object per file. All kinds of file
have the same fields for families and series.`,
		Example: "  mpctl inspect /dev/shm/app/4711-*.mpm\n  mpctl inspect /dev/shm/app/counter_4711.db /dev/shm/app/archive.mpm --json",
		Args:    needsSome("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := expand(args)
			if err != nil {
				return err
			}
			all := []*inspection{}
			var errs []error
			for _, path := range paths {
				in, err := inspectFile(path)
				if err != nil {
					errs = append(errs, &aboutFile{path, err})
					continue
				}
				all = append(all, in)
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), all)
			} else {
				err = printInspections(cmd.OutOrStdout(), all)
			}
			return errors.Join(append(errs, err)...)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of JSON objects")
	cmd.ValidArgsFunction = cobra.FixedCompletions([]string{"mpm", "db"}, cobra.ShellCompDirectiveFilterFileExt)
	return cmd
}

// inspectFile reads a native file, a file of client_python, or the archive.
func inspectFile(path string) (*inspection, error) {
	switch {
	case isDir(path):
		return nil, errors.New("is a directory: name its files, or use mpctl ls and mpctl families")
	case filepath.Base(path) == mpm.ArchiveName:
		return inspectArchive(path)
	case filepath.Ext(path) == ".db":
		return inspectPython(path)
	}
	return inspectNative(path)
}

func printInspections(w io.Writer, all []*inspection) error {
	for i, in := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := in.print(w); err != nil {
			return err
		}
	}
	return nil
}

func (in *inspection) print(w io.Writer) error {
	rows := [][]string{{"kind", in.Kind}}
	switch {
	case in.Native != nil:
		rows = append(rows, in.Native.rows()...)
	case in.Python != nil:
		rows = append(rows, in.Python.rows()...)
	case in.Archive != nil:
		rows = append(rows, in.Archive.rows()...)
	}
	rows = append(rows, []string{"bytes", strconv.FormatInt(in.Bytes, 10)}, []string{"series", strconv.Itoa(in.Series)})
	if err := table(w, []string{"file", printable(in.File)}, rows); err != nil {
		return err
	}
	if err := in.printFamilies(w); err != nil {
		return err
	}
	if in.Archive != nil {
		return in.Archive.printProcesses(w) // its series are sums, which `mpctl dump` shows
	}
	for i := range in.Families {
		if err := in.Families[i].print(w); err != nil {
			return err
		}
	}
	if len(in.Damage) > 0 {
		fmt.Fprintln(w)
	}
	for _, d := range in.Damage {
		fmt.Fprintf(w, "damaged: offset %d: %s\n", d.Offset, printable(d.Reason))
	}
	return nil
}

// printFamilies prints one row per family.
func (in *inspection) printFamilies(w io.Writer) error {
	if len(in.Families) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, f := range in.Families {
		rows = append(rows, []string{f.Name, f.Type, dash(f.Mode), strconv.Itoa(len(f.Series))})
	}
	return table(w, []string{"FAMILY", "TYPE", "MODE", "SERIES"}, rows)
}

// describeActive is empty of a series that never expires.
func (s *inspectedSeries) describeActive() string {
	switch {
	case s.Active.IsZero():
		return ""
	case s.Idle:
		return ", idle since " + s.Active.Format(time.RFC3339)
	}
	return ", active " + s.Active.Format(time.RFC3339)
}

func (f *inspectedFamily) print(w io.Writer) error {
	head := f.Name + " " + f.Type
	for _, s := range []string{f.Mode, f.Unit} {
		if s != "" {
			head += " " + s
		}
	}
	if n := f.Native; n != nil {
		head += fmt.Sprintf(", native from schema %d", n.Schema)
	}
	if f.TTL > 0 {
		head += ", TTL " + time.Duration(f.TTL*float64(time.Second)).String()
	}
	fmt.Fprintf(w, "\n%s\n", printable(head+": "+f.Help))
	var rows [][]string
	for i := range f.Series {
		s := &f.Series[i]
		rows = append(rows, []string{strconv.FormatInt(s.Offset, 10), metric.LabelsFromMap(s.Labels).String(), s.describe() + s.describeActive()})
		for _, x := range s.Exemplars {
			rows = append(rows, []string{"", "", x.describe()})
		}
	}
	return table(w, []string{"OFFSET", "LABELS", "VALUE"}, rows)
}

// describe returns the values in one line, without empty buckets.
func (s *inspectedSeries) describe() string {
	parts := []string{}
	if s.Value != "" {
		parts = append(parts, s.Value)
	}
	if !s.Time.IsZero() {
		parts = append(parts, "at", s.Time.Format(time.RFC3339Nano))
	}
	if s.Count != "" {
		parts = append(parts, "count", s.Count)
	}
	if s.Sum != "" {
		parts = append(parts, "sum", s.Sum)
	}
	for _, b := range s.Buckets {
		if b.Count == "0" {
			continue
		}
		parts = append(parts, "le="+b.Le+":"+b.Count)
	}
	if s.Native != nil {
		parts = append(parts, s.Native.describe()...)
	}
	return strings.Join(parts, " ")
}

func (x *inspectedExemplar) describe() string {
	of := "exemplar"
	if x.Le != "" {
		of += " of le=" + x.Le
	}
	return fmt.Sprintf("%s: %s %s at %s", of, metric.LabelsFromMap(x.Labels), x.Value, x.Time.Format(time.RFC3339Nano))
}

// describeFamily returns a schema without series.
func describeFamily(s *metric.Schema) inspectedFamily {
	out := inspectedFamily{
		Name: s.Name, Type: s.Type.String(), Unit: s.Unit, Help: s.Help,
		Labels: s.Labels, Bounds: s.Bounds, States: s.States, TTL: s.TTL.Seconds(), Series: []inspectedSeries{},
	}
	if n := s.Native; n != nil {
		out.Native = &declaredNative{n.Schema, n.MaxBuckets, n.ZeroThreshold, n.MaxExemplars}
	}
	if s.Type.HasMode() {
		out.Mode = s.Mode.String()
	}
	return out
}

// setActive says when a series was last seen to change.
func (s *inspectedSeries) setActive(nanos int64, f *metric.Schema) {
	if nanos != 0 {
		s.Active = time.Unix(0, nanos).UTC()
		s.Idle = f.TTL > 0 && time.Since(s.Active) >= f.TTL
	}
}

// hex returns words as JSON shows them.
func hex(words []uint64) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%#x", w)
	}
	return out
}

// dash returns "-" for an empty string, so that no column is empty.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
