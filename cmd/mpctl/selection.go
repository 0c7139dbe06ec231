package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/metric"
)

// selection says which metrics of a directory a command shows. The zero value is all of them,
// merged.
type selection struct {
	names     []string // of families or samples
	match     string
	byProcess bool
}

func (s *selection) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.match, "match", "", "only metrics whose whole name matches this regular expression")
	cmd.Flags().BoolVar(&s.byProcess, "by-process", false, "the series of each process by itself, not merged")
	obey(cmd, pattern, "match")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		for _, arg := range args {
			if info, err := os.Stat(arg); isPath(arg) || err == nil && info.IsDir() {
				return unexpected(cmd, arg)
			}
		}
		s.names = args
		return nil
	}
}

// isPath reports whether an argument is rather a path than the name of a metric.
func isPath(arg string) bool {
	return filepath.IsAbs(arg) || strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../")
}

// pattern accepts a regular expression.
func pattern(typed string) (string, error) {
	if _, err := notEmpty(typed); err != nil {
		return "", err
	}
	_, err := regexp.Compile(typed)
	return typed, err
}

// of returns what is selected of a gatherer, and the context to gather it with.
func (s *selection) of(ctx context.Context, g gather.Gatherer) (context.Context, gather.Gatherer) {
	if s.byProcess {
		ctx = inspect.WithByProcess(ctx)
	}
	if len(s.names) == 0 && s.match == "" {
		return ctx, g
	}
	matches := func(string) bool { return false }
	if s.match != "" {
		matches = regexp.MustCompile("^(?:" + s.match + ")$").MatchString
	}
	return ctx, access.Restrict(g, func(name string) bool { return slices.Contains(s.names, name) || matches(name) })
}

// gather returns what is selected of a gatherer.
func (s *selection) gather(ctx context.Context, g gather.Gatherer) ([]*metric.Family, error) {
	ctx, g = s.of(ctx, g)
	return g.Gather(ctx)
}

// empty is the answer no if something was selected and none of it is there.
func (s *selection) empty(families int) error {
	if families > 0 || len(s.names) == 0 && s.match == "" {
		return nil
	}
	what := slices.Clone(s.names)
	if s.match != "" {
		what = append(what, "--match "+s.match)
	}
	return refuse("no metric is called %s; mpctl families lists the names", strings.Join(what, " or "))
}
