package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/mmapstore"
	"github.com/multiprom/multiprom/supervisor"
)

func newMarkDead() *cobra.Command {
	var dir string
	var opts supervisor.MarkOptions
	cmd := &cobra.Command{
		Use:   "mark-dead ID",
		Short: "make readers take a process for dead",
		Long: `Make sure that a process counts as dead: its live gauges leave the merged view,
its counters stay. ID is a pid, a process label, a file name, or what mpctl ls shows
as ID. A pid is one of this PID namespace: a process of another, as one in another
container, is named in another way. A process that still holds its lock is alive and
is refused, unless --force.

Of a process of client_python, or of GitLab's client for Ruby, it removes the files
with live gauges, and renames the others, so that a later process of the same id
begins new ones. It is refused while a process has one of them open for writing.`,
		Example: "  mpctl mark-dead 4711 --dir /dev/shm/app",
		Args:    needs("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := existingDir(dir)
			if err != nil {
				return err
			}
			names, err := supervisor.MarkProcessDead(cmd.Context(), d, args[0], opts)
			switch {
			case errors.Is(err, mmapstore.ErrLocked):
				return refuse("%w; end it first, or say --force", err)
			case errors.Is(err, supervisor.ErrNoSuchProcess), errors.Is(err, supervisor.ErrAmbiguous):
				return refuse("%w", err)
			case err != nil:
				return err
			}
			for _, n := range names {
				fmt.Fprintln(cmd.OutOrStdout(), printable(n))
			}
			return nil
		},
	}
	addDirFlag(cmd, &dir)
	cmd.ValidArgsFunction = completeID(&dir)
	cmd.Flags().BoolVar(&opts.Force, "force", false, "mark it although it lives")
	return cmd
}
