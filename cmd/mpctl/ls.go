package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
)

// listed is a process in the output of `mpctl ls --json`.
type listed struct {
	PID         int       `json:"pid"`
	PIDNS       uint64    `json:"pid_namespace,omitempty"`
	ProcessID   string    `json:"process_id"`
	Incarnation string    `json:"incarnation,omitempty"`
	State       string    `json:"state"`
	Kind        string    `json:"kind"`
	Liveness    string    `json:"liveness"`
	Series      int       `json:"series"`
	Bytes       int64     `json:"bytes"`
	Started     time.Time `json:"started,omitzero"`
	Files       []string  `json:"files"`
	LeftOut     []string  `json:"left_out,omitempty"` // families whose series are left out because another schema is served
}

// States of client_python's processes that the merged view does not know: it
// treats them as alive until they are marked dead.
const (
	stateUnmarked = "unmarked" // no process has its files open
	stateUnknown  = "unknown"  // the system does not say whether they are open
)

// kindArchive is the kind of the archive's row.
const kindArchive = "archive"

func newLs() *cobra.Command {
	var dir string
	var asJSON bool
	var trust trustFlag
	cmd := &cobra.Command{
		Use:   "ls [DIR]",
		Short: "list the processes of a directory",
		Long: `List the processes of a directory, one per row: pid, process ID, state, kind of
file, series, bytes and start time. The archive of compacted processes has a row
too. The last lines count the processes and the files that could not be read,
and name the families that have a schema which is left out.

If a pid is ambiguous, because two processes have it or because it is of another
PID namespace, a column INCARNATION follows it. mpctl mark-dead accepts what it
shows.

The states are live, closed (alive, but has closed its file), marked (dead by
force) and dead. For client_python's processes they are:
  live      a process has one of the files open
  unmarked  the process has ended, but its live gauges are still shown: use
            mpctl mark-dead or mpctl gc --python
  dead      the process was marked dead
  unknown   the system does not say whether the files are open`,
		Example: "  mpctl ls /dev/shm/app\n  mpctl ls --json",
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
			now, ids := time.Now(), newIDs(processes)
			rows, items := [][]string{}, []listed{}
			for _, p := range processes {
				item, err := describeProcess(d, &p)
				if err != nil {
					return err
				}
				items = append(items, item)
				rows = append(rows, ids.add(item.row(now), &p))
			}
			if arc, err := readArchive(filepath.Join(d, mpm.ArchiveName), mpm.ReadOptions{}); err == nil && arc.Bytes > 0 {
				series := 0
				for i := range arc.Families {
					series += arc.Families[i].Series.Len()
				}
				items = append(items, listed{State: "dead", Kind: kindArchive, Series: series, Bytes: arc.Bytes, Files: []string{mpm.ArchiveName}})
				rows = append(rows, ids.add([]string{
					"-", fmt.Sprintf("%d compacted", arc.Compacted), "dead", kindArchive, strconv.Itoa(series), strconv.FormatInt(arc.Bytes, 10), "-",
				}, nil))
			}
			conflicts, err := inspect.Conflicts(cmd.Context(), a)
			if err != nil {
				return err
			}
			noteLeftOut(items, conflicts)
			if asJSON {
				return printJSON(cmd.OutOrStdout(), items)
			}
			w := cmd.OutOrStdout()
			if err := table(w, ids.head([]string{"PID", "PROCESS ID", "STATE", "KIND", "SERIES", "BYTES", "STARTED"}), rows); err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "\n%s\n", summary(items, inspect.Files(a), conflicts, d))
			return err
		},
	}
	addDirArg(cmd, &dir)
	trust.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the processes as JSON")
	return cmd
}

// ids is the width of the column INCARNATION: as many first digits of the processes' incarnations
// as tell them apart. It is 0 if PIDs tell them apart as well.
type ids int

// newIDs checks whether each PID names one process, in the way that mark-dead reads it.
func newIDs(processes []aggregate.Process) ids {
	here := mpm.CurrentIdentity().PIDNamespace
	needed, width := false, 8
	pids := map[int]bool{}
	var known []string
	for _, p := range processes {
		if p.Kind != aggregate.Native {
			continue
		}
		needed = needed || p.PIDNamespace != here || pids[p.PID]
		pids[p.PID] = true
		known = append(known, p.Incarnation)
	}
	if !needed {
		return 0
	}
	slices.Sort(known)
	for i := 1; i < len(known); i++ {
		for width < len(known[i]) && known[i][:width] == known[i-1][:width] {
			width++
		}
	}
	return ids(width)
}

func (w ids) head(columns []string) []string { return w.insert(columns, "INCARNATION") }

// add inserts the ID into a row. The archive has none: p is nil.
func (w ids) add(row []string, p *aggregate.Process) []string {
	if p == nil || p.Kind != aggregate.Native {
		return w.insert(row, "-")
	}
	return w.insert(row, p.Incarnation[:w])
}

func (w ids) insert(row []string, cell string) []string {
	if w == 0 {
		return row
	}
	return slices.Insert(row, 1, cell)
}

func describeProcess(dir string, p *aggregate.Process) (listed, error) {
	item := listed{
		PID: p.PID, ProcessID: p.Label, State: string(p.State), Kind: string(p.Kind), Liveness: p.Liveness,
		Series: p.Series, Bytes: p.Bytes, Started: p.Created.UTC(), Files: p.Files,
	}
	if p.Kind == aggregate.Native {
		item.Incarnation, item.PIDNS = p.Incarnation, p.PIDNamespace
		return item, nil
	}
	item.Liveness, item.Started = "lease", time.Time{}
	if p.State != aggregate.Live {
		return item, nil
	}
	state, err := pythonState(dir, p.Files)
	if item.State = state; state == stateUnknown {
		item.Liveness = "none"
	}
	return item, err
}

// pythonState returns the state of a process of client_python that was not
// marked dead.
func pythonState(dir string, files []string) (string, error) {
	d, err := mpm.OpenDir(dir)
	if err != nil {
		return "", err
	}
	defer d.Close()
	state := stateUnmarked
	for _, name := range files {
		written, err := d.OpenForWriting(name)
		switch {
		case errors.Is(err, mpm.ErrNoLease):
			state = stateUnknown
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", err
		case written:
			return string(aggregate.Live), nil
		}
	}
	return state, nil
}

// noteLeftOut notes for each process the families whose series are left out.
func noteLeftOut(items []listed, conflicts []inspect.Conflict) {
	for i := range items {
		for _, c := range conflicts {
			if slices.ContainsFunc(c.Left.Owners, func(o inspect.Owner) bool { return slices.Contains(items[i].Files, o.File) }) {
				items[i].LeftOut = append(items[i].LeftOut, c.Left.Name)
			}
		}
	}
}

// summary counts processes by state and the files that could not be read, and names
// the families that have a schema which is left out.
func summary(items []listed, files []inspect.File, conflicts []inspect.Conflict, dir string) string {
	var states, bad tally
	n := 0
	for _, item := range items {
		if item.Kind != kindArchive {
			states.add(item.State)
			n++
		}
	}
	for _, f := range files {
		if f.State != inspect.OK {
			bad.add(string(f.State))
		}
	}
	line := plural(n, "process")
	if n > 0 {
		line += ": " + states.String()
	}
	if len(bad) > 0 {
		line += fmt.Sprintf("\nfiles left out: %s; mpctl check %s says why", &bad, printable(dir))
	}
	var left []string
	for _, c := range conflicts {
		if !slices.Contains(left, c.Left.Name) {
			left = append(left, c.Left.Name)
		}
	}
	if n := len(left); n > 0 {
		const most = 5
		names := strings.Join(left[:min(n, most)], ", ")
		if n > most {
			names += fmt.Sprintf(" and %d more", n-most)
		}
		line += fmt.Sprintf("\nseries left out, since schemas conflict, of %s;\nmpctl families %s says more", printable(names), printable(dir))
	}
	return line
}

// tally counts words, in the order of their first occurrence.
type tally []struct {
	word string
	n    int
}

func (t *tally) add(word string) {
	for i := range *t {
		if (*t)[i].word == word {
			(*t)[i].n++
			return
		}
	}
	*t = append(*t, struct {
		word string
		n    int
	}{word, 1})
}

func (t *tally) String() string {
	var parts []string
	for _, c := range *t {
		parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
	}
	return strings.Join(parts, ", ")
}

// age returns the time since then, in one unit.
func age(since, now time.Time) string {
	d := now.Sub(since)
	switch {
	case d < 0:
		return "in the future"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// row returns the process as a row of the table.
func (l *listed) row(now time.Time) []string {
	pid, started := "-", "-"
	if l.PID != 0 {
		pid = strconv.Itoa(l.PID)
	}
	if !l.Started.IsZero() {
		started = l.Started.Local().Format(time.DateTime+" MST") + ", " + age(l.Started, now)
	}
	return []string{pid, l.ProcessID, l.State, l.Kind, strconv.Itoa(l.Series), strconv.FormatInt(l.Bytes, 10), started}
}
