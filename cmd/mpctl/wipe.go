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
		Short: "remove the files of dead processes",
		Long: `Remove the metric files of dead processes: what they counted leaves the merged
view. Refused while a process lives; with --force the living ones' files stay and
the rest goes. Only files that are ours by their name and their content are removed,
or client_python's.`,
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
	cmd.Flags().BoolVar(&force, "force", false, "remove the dead ones' files although others live")
	return cmd
}
