package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/mmapstore"
)

// listed is one process as `mpctl ls --json` prints it.
type listed struct {
	PID      int       `json:"pid"`
	Label    string    `json:"label"`
	State    string    `json:"state"`
	Kind     string    `json:"kind"`
	Liveness string    `json:"liveness"`
	Series   int       `json:"series"`
	Bytes    int64     `json:"bytes"`
	Started  time.Time `json:"started"`
	File     string    `json:"file"`
}

func newLs() *cobra.Command {
	var dir string
	var asJSON bool
	var trust trustFlag
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "list the processes of a directory",
		Long: `List a row per process: pid, process label (the slot, where the workers use it),
state (live, closed, marked, dead), kind of file, series, bytes, start; and one for
the archive of those that were folded.`,
		Example: "  mpctl ls --dir /dev/shm/app\n  mpctl ls --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := existingDir(dir)
			if err != nil {
				return err
			}
			a, err := aggregate.Open(d, aggregate.Options{TrustUIDs: trust})
			if err != nil {
				return err
			}
			defer a.Close()
			processes, err := a.Processes()
			if err != nil {
				return err
			}
			rows, items := [][]string{}, []listed{}
			for _, p := range processes {
				items = append(items, listed{
					p.PID, p.Label, string(p.State), "native", p.Liveness.String(), p.Series, p.Bytes, p.Created.UTC(), p.File,
				})
				rows = append(rows, []string{
					strconv.Itoa(p.PID), p.Label, string(p.State), "native", strconv.Itoa(p.Series),
					strconv.FormatInt(p.Bytes, 10), p.Created.Local().Format(time.DateTime),
				})
			}
			if arc, err := readArchive(filepath.Join(d, mmapstore.ArchiveName), mmapstore.ReadOptions{}); err == nil && arc.Bytes > 0 {
				series := 0
				for _, f := range arc.Families {
					series += len(f.Series)
				}
				items = append(items, listed{State: "dead", Kind: "archive", Series: series, Bytes: arc.Bytes, File: mmapstore.ArchiveName})
				rows = append(rows, []string{
					"-", fmt.Sprintf("%d folded", arc.Folded), "dead", "archive", strconv.Itoa(series), strconv.FormatInt(arc.Bytes, 10), "-",
				})
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), items)
			}
			return table(cmd.OutOrStdout(), []string{"PID", "LABEL", "STATE", "KIND", "SERIES", "BYTES", "STARTED"}, rows)
		},
	}
	addDirFlag(cmd, &dir)
	trust.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the processes as JSON")
	return cmd
}
