package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "write manual pages and shell completions",
		Hidden: true,
		Long: `Write a manual page for each verb, and completions for bash, zsh and fish, to
files in a directory. It is for those who package mpctl. SOURCE_DATE_EPOCH, if
set, is the date of the pages.`,
		Example: `  mpctl man ./out`,
		Args:    needs("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := args[0]
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			root := newRoot()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Section: "1", Source: "multiprom", Manual: "multiprom"}
			if err := doc.GenManTree(root, header, dir); err != nil {
				return err
			}
			if err := root.GenBashCompletionFileV2(filepath.Join(dir, "mpctl.bash"), true); err != nil {
				return err
			}
			if err := root.GenZshCompletionFile(filepath.Join(dir, "_mpctl")); err != nil {
				return err
			}
			return root.GenFishCompletionFile(filepath.Join(dir, "mpctl.fish"), true)
		},
	}
}
