package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/metric"
)

// gcResult is the JSON output of `mpctl gc`.
type gcResult struct {
	DryRun    bool      `json:"dry_run"`
	Compacted []string  `json:"compacted"`
	Dead      int       `json:"processes"`
	Removed   []string  `json:"removed"`
	Dropped   []dropped `json:"dropped"`
	Left      []problem `json:"left"`
	Living    int       `json:"living"`
	Series    int       `json:"archive_series"`
	Bytes     int64     `json:"archive_bytes"`
	Seconds   float64   `json:"seconds"`
}

// dropped is a schema that was removed from the archive.
type dropped struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Mode   string `json:"mode,omitempty"`
	Series int    `json:"series"`
}

func newGC() *cobra.Command {
	var dir string
	var asJSON bool
	var opts aggregate.CompactOptions
	var trust trustFlag
	var ttl ttlFlag
	cmd := &cobra.Command{
		Use:   "gc [DIR]",
		Short: "compact dead processes' files into the archive",
		Long: `Move the values of dead processes from their files into the archive, and remove
the files. The merged metrics stay the same to the last bit. gc is safe to run
next to workers, scrapes and other compactors, and it may be killed at any time.

gc leaves alone the files of living processes, damaged files, and files of a
newer version.

--python also compacts client_python's files, if mpctl mark-dead has marked
their process or no process has them open for writing. client_python's own
collector no longer shows them after that.

--drop-family removes a family from the archive, in every schema that no living
process has. What living processes have of it stays.

The exit code is 1 if a dead process's file could not be compacted, if another
compactor is at work, or if a family cannot be dropped because living processes
have it or no dead process has it.`,
		Example: "  mpctl gc /dev/shm/app --dry-run\n  mpctl gc /run/gunicorn --python\n  mpctl gc /dev/shm/app --drop-family jobs_by_user",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := existingDir(dir)
			if err != nil {
				return err
			}
			opts.TrustUIDs, opts.TTL = trust, ttl
			return gc(cmd.Context(), d, opts, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addDirArg(cmd, &dir)
	trust.add(cmd)
	ttl.add(cmd)
	addCompactFlags(cmd, &opts)
	cmd.Flags().BoolVar(&opts.Python, "python", false, "also compact dead processes' files of client_python")
	cmd.Flags().StringArrayVar(&opts.DropFamilies, "drop-family", nil, "remove this family (a name from mpctl families) from the archive; may be repeated")
	obey(cmd, notEmpty, "drop-family")
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "show what would be compacted and change nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return cmd
}

// addCompactFlags adds the flags that say how to compact.
func addCompactFlags(cmd *cobra.Command, o *aggregate.CompactOptions) {
	cmd.Flags().IntVar(&o.KeepDead, "keep-dead", 1000, "how many dead processes keep their series in gauges of mode all, the newest first; 0 for none, -1 for all")
	cmd.Flags().DurationVar(&o.KeepDeadFor, "keep-dead-for", metric.NoLimit, "how long dead processes keep these series after compaction; 0 for no time, -1 for ever")
	cmd.Flags().Lookup("keep-dead-for").DefValue = noLimit // and not -1ns
	obey(cmd, zeroKeepsNone(orNoLimit(atLeast(0, ", or -1 to keep all"), false), false), "keep-dead")
	obey(cmd, zeroKeepsNone(orNoLimit(longerThanZero(", or 0 to keep none, or -1 for ever"), true), true), "keep-dead-for")
	cmd.Flags().BoolVar(&o.Marked, "compact-marked", false, "on filesystems without trusted locks: compact processes that were marked dead; they must really be gone")
}

// addCompactorFlags adds the flags that say when to compact in the background.
func addCompactorFlags(cmd *cobra.Command, o *aggregate.CompactorOptions, off *bool) {
	addCompactFlags(cmd, &o.CompactOptions)
	cmd.Flags().BoolVar(off, "no-compact", false, "leave dead processes' files where they are")
	cmd.Flags().DurationVar(&o.Period, "compact-period", 30*time.Second, "how often to look for dead processes")
	cmd.Flags().IntVar(&o.Threshold, "compact-threshold", 8, "compact when this many processes are dead; for client_python, this many files")
	obey(cmd, longerThanZero("; to leave the files alone, say --no-compact"), "compact-period")
	obey(cmd, atLeast(1, "; to leave the files alone, say --no-compact"), "compact-threshold")
}

func gc(ctx context.Context, dir string, opts aggregate.CompactOptions, asJSON bool, stdout, stderr io.Writer) error {
	if isTerminal(stderr) {
		opts.Progress = func(done, total int) {
			if done%1000 == 0 || done == total {
				fmt.Fprintf(stderr, "\rlooked at %d of %s\x1b[K", done, plural(total, "file"))
			}
			if done == total {
				fmt.Fprintln(stderr)
			}
		}
	}
	r, err := aggregate.Compact(ctx, dir, opts)
	if errors.Is(err, aggregate.ErrBusy) {
		return refuse("%w: try again", err)
	}
	if errors.Is(err, aggregate.ErrInUse) || errors.Is(err, aggregate.ErrNoFamily) {
		return refusal{err}
	}
	if err != nil {
		return err
	}
	out := gcResult{
		DryRun: opts.DryRun, Compacted: orEmpty(r.Compacted), Dead: r.Processes, Removed: orEmpty(r.Removed), Dropped: []dropped{}, Left: []problem{},
		Living: r.Living, Series: r.Series, Bytes: r.Bytes, Seconds: r.Took.Seconds(),
	}
	for _, l := range r.Left {
		out.Left = append(out.Left, problem{File: l.Name, Offset: whole, Reason: reason(filepath.Join(dir, l.Name), l.Reason)})
	}
	for _, d := range r.Dropped {
		one := dropped{Name: d.Name, Type: d.Type.String(), Series: d.Series}
		if d.Type.HasMode() {
			one.Mode = d.Mode.String()
		}
		out.Dropped = append(out.Dropped, one)
	}
	if asJSON {
		err = printJSON(stdout, out)
	} else {
		err = out.print(stdout)
	}
	if err == nil && len(out.Left) > 0 {
		return errNo
	}
	return err
}

func (r *gcResult) print(w io.Writer) error {
	for _, l := range r.Left {
		fmt.Fprintln(w, printable(fmt.Sprintf("left %s: %s", l.File, l.Reason)))
	}
	verb := "compacted"
	if r.DryRun {
		verb = "would compact"
	}
	var rows [][]string
	for _, d := range r.Dropped {
		verb := "dropped"
		if r.DryRun {
			verb = "would drop"
		}
		kind := d.Type
		if d.Mode != "" {
			kind += " of mode " + d.Mode
		}
		rows = append(rows, []string{verb, fmt.Sprintf("%s %s, %d series", kind, d.Name, d.Series)})
	}
	return table(w, []string{verb, plural(r.Dead, "process") + " that had died"}, append(rows, [][]string{
		{"removed", plural(len(r.Removed), "file") + " that a kill had left"},
		{"left alone", plural(len(r.Left), "file")},
		{"living", plural(r.Living, "process")},
		{"archive", fmt.Sprintf("%d series, %d bytes", r.Series, r.Bytes)},
	}...))
}

// orEmpty turns nil into an empty list, so that JSON has [] and not null.
func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
