package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/mmapstore"
)

// problem is one line of `mpctl check`.
type problem struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"` // -1 if the problem concerns the whole file
	Reason string `json:"reason"`
}

// whole is the offset of a problem that concerns the whole file.
const whole = -1

func (p *problem) String() string {
	if p.Offset == whole {
		return p.File + ": " + p.Reason
	}
	return fmt.Sprintf("%s: offset %d: %s", p.File, p.Offset, p.Reason)
}

func newCheck() *cobra.Command {
	var dir string
	var asJSON, writer bool
	var trust trustFlag
	cmd := &cobra.Command{
		Use:   "check [DIR | FILE...]",
		Short: "verify the files of a directory, or named files",
		Long: `Verify headers, blocks, records and checksums. check prints a line with file,
offset and reason for each problem, and exits with 1 if there is one. It can
check files of living processes while they are being written.

In a directory, check also reports:
  - files that mpctl serve leaves out because it does not trust their owner.
    Files that you name are read no matter who owns them.
  - schemas that conflict, because the series of one are left out of the merged
    metrics. mpctl families shows them in detail.

With --writer, check also looks for what a writer must do although readers
manage without it, and looks at the files of living processes twice, to see how
they change. In a directory, it also reports files that no reader looks at, and
that there is none. It is for authors of writers: docs/format.md, "Writing a
writer", lists what it checks.

Problems with the directory itself are notes on stderr. They do not change the
exit code.`,
		Example: "  mpctl check /dev/shm/app\n  mpctl check --json /dev/shm/app/4711-*.mpm",
		RunE: func(cmd *cobra.Command, files []string) error {
			var read mpm.ReadOptions
			var conflicts []inspect.Conflict
			var restored []problem
			if len(files) == 1 && dir == "" && isDir(files[0]) {
				dir, files = files[0], nil
			}
			if len(files) > 0 && dir != "" {
				return misused(cmd, "unexpected argument %q beside --dir", files[0])
			}
			files, err := expand(files)
			if err != nil {
				return err
			}
			named := len(files) > 0
			if !named {
				d, err := existingDir(dir)
				if err != nil {
					return err
				}
				if files, err = metricFiles(d); err != nil {
					return err
				}
				if read.Trusted, err = mpm.TrustIn(d, trust); err != nil {
					return err
				}
				warnings, err := mpm.CheckDir(d)
				if err != nil {
					return err
				}
				for _, w := range warnings {
					fmt.Fprintln(cmd.ErrOrStderr(), "note:", printable(w.Text))
				}
				if conflicts, err = conflictsIn(cmd.Context(), d, trust); err != nil {
					fmt.Fprintln(cmd.ErrOrStderr(), "note: schemas are not compared:", printable(err.Error()))
				}
				if restored, err = restoredIn(d, read); err != nil {
					return err
				}
				dir = d
			}
			problems, gone, err := checkFiles(files, read)
			if err != nil {
				return err
			}
			if named && len(gone) == len(files) {
				return fmt.Errorf("%s: no such file", strings.Join(gone, ", "))
			}
			for _, f := range gone {
				if named {
					fmt.Fprintf(cmd.ErrOrStderr(), "note: %s: no such file\n", printable(f))
				}
			}
			problems = append(problems, restored...)
			if writer && !named {
				found, err := mpm.CheckNames(dir)
				if err != nil {
					return err
				}
				for _, f := range found {
					problems = append(problems, problem{f.Path, whole, f.Reason})
				}
			}
			if writer {
				more, err := checkWriters(files, read)
				if err != nil {
					return err
				}
				problems = append(problems, more...)
			}
			for _, c := range conflicts {
				problems = append(problems, problem{dir, whole, c.String()})
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), problems); err != nil {
					return err
				}
			} else {
				for _, p := range problems {
					fmt.Fprintln(cmd.OutOrStdout(), printable(p.String()))
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s checked, %s\n", plural(len(files)-len(gone), "file"), plural(len(problems), "problem"))
				if space := spaceOf(files, read); space != (mpm.Space{}) {
					fmt.Fprintf(cmd.ErrOrStderr(), "%d bytes are of removed series, %d are free for new ones\n", space.Removed, space.Free)
				}
			}
			if len(problems) > 0 {
				return errNo
			}
			return nil
		},
	}
	addDirFlag(cmd, &dir)
	trust.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the problems as JSON")
	cmd.Flags().BoolVar(&writer, "writer", false, "check what a writer must do, too")
	return cmd
}

// checkWriters returns what the writers of the native files do wrong. checkFiles reports files
// that cannot be read.
func checkWriters(files []string, read mpm.ReadOptions) (problems []problem, err error) {
	for _, path := range files {
		if _, _, ok := mpm.ParseFileName(filepath.Base(path)); !ok {
			continue
		}
		found, err := mpm.CheckWriter(path, read, time.Second)
		var corrupt *mpm.CorruptionError
		switch {
		case errors.Is(err, mpm.ErrForeign), errors.Is(err, mpm.ErrUnsupported), errors.Is(err, mpm.ErrNotTrusted),
			errors.Is(err, os.ErrPermission), errors.Is(err, os.ErrNotExist), errors.Is(err, mpm.ErrTooBig), errors.As(err, &corrupt):
			continue
		case err != nil:
			return nil, err
		}
		for _, f := range found {
			problems = append(problems, problem{path, f.Offset, f.Reason})
		}
	}
	return problems, nil
}

// restoredIn returns the files in dir that have come back although the archive already has their values.
func restoredIn(dir string, read mpm.ReadOptions) (problems []problem, err error) {
	d, err := mpm.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.Entries()
	if err != nil {
		return nil, err
	}
	arc, err := d.ReadArchive(read)
	if err != nil {
		return nil, nil // checkFile reports it
	}
	for _, e := range entries {
		if arc.Restored(e.Incarnation) {
			problems = append(problems, problem{d.Join(e.Name), whole, inspect.ErrConsumed.Error()})
		}
	}
	return problems, nil
}

// conflictsIn returns the schemas in dir that conflict.
func conflictsIn(ctx context.Context, dir string, trust []int) ([]inspect.Conflict, error) {
	a, err := aggregate.Open(dir, aggregate.Options{TrustUIDs: trust, NoSelfMetrics: true})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return inspect.Conflicts(ctx, a)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// metricFiles returns the paths of all files of processes in dir, and of the archive.
func metricFiles(dir string) ([]string, error) {
	entries, err := mpm.ScanDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if e.Kind == mpm.KindNative || e.Kind == mpm.KindPython || e.Name == mpm.ArchiveName {
			paths = append(paths, filepath.Join(dir, e.Name))
		}
	}
	return paths, nil
}

// readArchive reads the archive at path.
func readArchive(path string, read mpm.ReadOptions) (*mpm.Archive, error) {
	d, err := mpm.OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadArchive(read)
}

// checkFiles returns the problems of files, and those that do not exist. A compactor may
// have removed a file since it was listed.
func checkFiles(files []string, read mpm.ReadOptions) (problems []problem, gone []string, err error) {
	problems = []problem{} // in JSON an empty array
	for _, f := range files {
		found, err := checkFile(f, read)
		switch {
		case errors.Is(err, os.ErrNotExist):
			gone = append(gone, f)
		case err != nil:
			return nil, nil, err
		default:
			problems = append(problems, found...)
		}
	}
	return problems, gone, nil
}

// spaceOf adds up the space of the native files that can be read.
func spaceOf(files []string, read mpm.ReadOptions) (sum mpm.Space) {
	for _, path := range files {
		r, err := mpm.Open(path, read)
		if err != nil {
			continue // checkFiles has said so
		}
		if err = r.Refresh(); err == nil {
			_ = mpm.Guard(path, func() error {
				space := r.Space()
				sum.Removed, sum.Free = sum.Removed+space.Removed, sum.Free+space.Free
				return nil
			})
		}
		r.Close()
	}
	return sum
}

// checkFile returns the problems of a file. If the file does not exist, the error is
// os.ErrNotExist.
func checkFile(path string, read mpm.ReadOptions) ([]problem, error) {
	found, err := mmapstore.Verify(path, mmapstore.ReadOptions{Trusted: read.Trusted})
	switch {
	case errors.Is(err, mpm.ErrForeign), errors.Is(err, mpm.ErrUnsupported),
		errors.Is(err, mpm.ErrNotTrusted), errors.Is(err, os.ErrPermission), errors.Is(err, mpm.ErrTooBig),
		errors.Is(err, mpm.ErrStale): // the others are checked
		return []problem{{File: path, Offset: whole, Reason: reason(path, err)}}, nil
	case err != nil:
		return nil, err
	}
	var problems []problem
	for _, f := range found {
		problems = append(problems, problem{path, f.Offset, f.Reason})
	}
	return problems, nil
}
