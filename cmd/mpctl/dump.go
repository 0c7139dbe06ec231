package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
)

func newDump() *cobra.Command {
	var dir, format string
	var trust trustFlag
	cmd := &cobra.Command{
		Use:     "dump",
		Short:   "print the merged metrics once",
		Example: "  mpctl dump --dir /dev/shm/app | promtool check metrics",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" {
				return fmt.Errorf("unknown format %q: text is what there is", format)
			}
			d, err := existingDir(dir)
			if err != nil {
				return err
			}
			a, err := aggregate.Open(d, aggregate.Options{TrustUIDs: trust})
			if err != nil {
				return err
			}
			defer a.Close()
			families, err := a.Gather(cmd.Context())
			// What could be had is printed, and the error makes the exit code.
			return errors.Join(err, exposition.Encode(cmd.OutOrStdout(), families, exposition.Options{}))
		},
	}
	addDirFlag(cmd, &dir)
	trust.add(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "format of the output: text")
	return cmd
}
