package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
)

// Environment variables that name the directory. The second is client_python's old
// spelling.
const (
	envDir      = "PROMETHEUS_MULTIPROC_DIR"
	envDirLower = "prometheus_multiproc_dir"
)

// usageError is a mistake in the command line. Its message shows the usage.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string {
	verb := ""
	if e.cmd.HasParent() {
		verb = e.cmd.Name() + ": "
	}
	return fmt.Sprintf("%s%v\nusage: %s\n`%s --help` has an example", verb, e.err, e.cmd.UseLine(), e.cmd.CommandPath())
}

func (e *usageError) Unwrap() error { return e.err }

func misused(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd, fmt.Errorf(format, args...)}
}

// needs checks that a command has exactly one argument. If the command works on a
// directory, the error for a second argument names the flag --dir.
func needs(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return misused(cmd, "%s is missing", name)
		case len(args) > 1:
			return unexpected(cmd, args[1])
		}
		return nil
	}
}

// needsSome checks that a command has at least one argument.
func needsSome(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return misused(cmd, "%s is missing", name)
		}
		return nil
	}
}

// noArgs checks that a command has no argument.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unexpected(cmd, args[0])
	}
	return nil
}

func unexpected(cmd *cobra.Command, arg string) error {
	if cmd.Flags().Lookup("dir") != nil {
		return misused(cmd, "unexpected argument %q: a directory is named by --dir", arg)
	}
	return misused(cmd, "unexpected argument %q", arg)
}

// addDirFlag adds the flag --dir to a command.
func addDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", "", "directory of the metric files (default $"+envDir+")")
	cmd.MarkFlagDirname("dir")
	obey(cmd, notEmpty, "dir")
}

// addDirArg lets a command take its directory as an argument or from --dir.
func addDirArg(cmd *cobra.Command, dir *string) {
	addDirFlag(cmd, dir)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 1:
			return misused(cmd, "unexpected argument %q: there is one directory", args[1])
		case len(args) == 1 && *dir != "" && *dir != args[0]:
			return misused(cmd, "two directories: %s and --dir %s", args[0], *dir)
		case len(args) == 1:
			*dir = args[0]
		}
		return nil
	}
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
}

// resolveDir returns the directory to work on.
func resolveDir(flag string) (string, error) {
	for _, dir := range []string{flag, os.Getenv(envDir), os.Getenv(envDirLower)} {
		if dir != "" {
			return dir, nil
		}
	}
	return "", errors.New("no directory: give --dir or set " + envDir)
}

// existingDir is resolveDir for commands that need an existing directory.
func existingDir(flag string) (string, error) {
	dir, err := resolveDir(flag)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	switch from := "the argument or --dir"; {
	case errors.Is(err, fs.ErrNotExist):
		if flag == "" {
			from = "$" + envDir
		}
		return "", fmt.Errorf("there is no directory %s: no process has made it yet, or %s names another", dir, from)
	case err != nil:
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a directory", dir)
	}
	return dir, nil
}

// openView opens the merged view of an existing directory.
func openView(dir string, opts aggregate.Options) (*aggregate.Aggregator, error) {
	dir, err := existingDir(dir)
	if err != nil {
		return nil, err
	}
	return aggregate.Open(dir, opts)
}

// expand replaces patterns by the files that they match, for patterns that the shell
// did not expand. An argument that is the name of a file stays.
func expand(args []string) ([]string, error) {
	var paths []string
	for _, arg := range args {
		if _, err := os.Lstat(arg); err == nil || !strings.ContainsAny(arg, "*?[") {
			paths = append(paths, arg)
			continue
		}
		found, err := filepath.Glob(arg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no such file", arg)
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

// complete registers the values of a flag for shell completion.
func complete(cmd *cobra.Command, flag string, values ...string) {
	// It fails only if there is no such flag or it has values already.
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

// completeID completes the ID of a process with the IDs in the directory.
func completeID(dir *string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (ids []string, _ cobra.ShellCompDirective) {
		const only = cobra.ShellCompDirectiveNoFileComp
		if len(args) > 0 {
			return nil, only
		}
		a, err := openView(*dir, aggregate.Options{})
		if err != nil {
			return nil, only
		}
		defer a.Close()
		processes, err := a.Processes()
		if err != nil {
			return nil, only
		}
		here := mpm.CurrentIdentity().PIDNamespace
		for _, p := range processes {
			id := p.Label
			if p.Kind == aggregate.Native && p.PIDNamespace != here && id == strconv.Itoa(p.PID) {
				id = p.Incarnation // a pid of another namespace means nothing here
			}
			ids = append(ids, cobra.CompletionWithDesc(id, fmt.Sprintf("%s, %s", p.State, p.Kind)))
		}
		return ids, only
	}
}
