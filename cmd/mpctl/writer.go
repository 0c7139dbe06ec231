package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/writers"
)

func newWriter() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "writer",
		Short: "print a writer for programs in another language",
		Long: `Print the code with which programs in another language write native files, which
mpctl merges like those of Go programs.`,
		Example: "  mpctl writer python > multiprom_client.py",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "python",
		Short: "print the module multiprom_client",
		Long: `Print multiprom_client.py, a module for Python programs that use
prometheus_client. It needs CPython 3.9 or later on Linux, and no other package.
The text is that of this version of mpctl.`,
		Example: "  mpctl writer python > multiprom_client.py",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "# Printed by mpctl %s.\n%s", buildVersion().Version, writers.Python)
			return err
		},
	})
	return cmd
}
