package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
)

func newMarkDead() *cobra.Command {
	var dir string
	var opts aggregate.MarkOptions
	cmd := &cobra.Command{
		Use:   "mark-dead ID",
		Short: "make sure that a process counts as dead",
		Long: `Make sure that a process counts as dead. Its live gauges leave the merged
metrics, its counters stay. A process that still holds its lock is alive:
mark-dead refuses it unless --force is given.

ID is a pid, a process ID or an incarnation as mpctl ls shows it, or a file
name. A pid is one of this PID namespace. Name a process of another namespace,
such as one in another container, in one of the other ways.

For a process of client_python, or of GitLab's client for Ruby, mark-dead
removes the files with live gauges and renames the others, so that a later
process with the same id starts new files. It refuses while a process has one of
them open for writing.`,
		Example: "  mpctl mark-dead 4711 --dir /dev/shm/app",
		Args:    needs("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := existingDir(dir)
			if err != nil {
				return err
			}
			names, err := aggregate.MarkProcessDead(cmd.Context(), d, args[0], opts)
			switch {
			case errors.Is(err, mpm.ErrLocked):
				return refuse("%w; end it first, or say --force", err)
			case errors.Is(err, aggregate.ErrNoSuchProcess):
				return refuse("%w; mpctl ls shows who has one", err)
			case errors.Is(err, aggregate.ErrAmbiguous):
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
	cmd.Flags().BoolVar(&opts.Force, "force", false, "mark the process even if it is alive")
	return cmd
}
