package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
)

func newWipe() *cobra.Command {
	var dir string
	var force bool
	cmd := &cobra.Command{
		Use:   "wipe [DIR]",
		Short: "discard what dead processes have counted",
		Long: `Remove the metric files of dead processes and empty the archive. What dead
processes counted leaves the merged metrics.

wipe refuses while a process is alive. With --force it keeps the files of living
processes and removes the rest. It removes only files that are multiprom's or
client_python's by their name and by their content.`,
		Example: "  mpctl wipe /dev/shm/app",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := existingDir(dir)
			if err != nil {
				return err
			}
			removed, err := aggregate.Wipe(d, force)
			for _, name := range removed {
				fmt.Fprintln(cmd.OutOrStdout(), printable(name))
			}
			switch {
			case errors.Is(err, aggregate.ErrInUse):
				return refuse("%w; stop them first, or say --force", err)
			case errors.Is(err, aggregate.ErrBusy):
				return refuse("%w: try again", err)
			}
			if err == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s removed or emptied\n", plural(len(removed), "file"))
			}
			return err
		},
	}
	addDirArg(cmd, &dir)
	cmd.Flags().BoolVar(&force, "force", false, "remove dead processes' files even if others are alive")
	return cmd
}
