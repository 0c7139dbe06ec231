package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/otlp"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/registry/collectors"
	"github.com/multiprom/multiprom/registry/publish"
)

var update = flag.Bool("update", false, "write docs/reference.md")

const referencePage = "../../docs/reference.md"

// TestReference: docs/reference.md is what the code has. `make reference` writes it.
func TestReference(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Reference

All metrics of multiprom itself, all commands with their flags and what they print with ` + "`--json`" + `, exit codes and
environment variables. ` + "`make reference`" + ` writes this page from the code, and a test compares them.

- [Metrics](#metrics)
- [Exit codes](#exit-codes)
- [Environment variables](#environment-variables)
- [Commands](#commands)
- [JSON](#json)
`)
	writeMetrics(t, &page)
	writeExitCodes(&page)
	writeVariables(t, &page)
	page.WriteString("\n## Commands\n\nEvery command also has `--help`. An argument in brackets may be left out.\n")
	for _, cmd := range newRoot().Commands() {
		if !cmd.Hidden && cmd.Name() != "completion" {
			writeCommand(&page, cmd)
		}
	}
	writeJSON(t, &page)
	if *update {
		require.NoError(t, os.WriteFile(referencePage, []byte(page.String()), 0o644))
	}
	is, err := os.ReadFile(referencePage)
	require.NoError(t, err)
	require.Equal(t, page.String(), string(is), "`make reference` writes the page")
	for _, name := range namedMetrics(t) {
		require.Contains(t, page.String(), "`"+name, "a metric of the code")
	}
}

// writeMetrics writes a table for each source of metrics.
func writeMetrics(t *testing.T, page *strings.Builder) {
	dir := t.TempDir()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	t.Cleanup(func() { require.NoError(t, set.Close()) })
	publisher, err := publish.Start(publish.Options{Set: set})
	require.NoError(t, err)
	t.Cleanup(func() { publisher.Close() })
	require.NoError(t, publisher.Publish(t.Context()))
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	tell := func(title, text string, g gather.Gatherer, prefix string) {
		fmt.Fprintf(page, "\n### %s\n\n%s\n\n| metric | type | labels | what |\n|---|---|---|---|\n", title, text)
		families, err := g.Gather(t.Context())
		require.NoError(t, err)
		rows := map[string]string{}
		for _, f := range families {
			if !strings.HasPrefix(f.Name, prefix) || f.Name == "process_start_time_seconds" && prefix == "multiprom_" {
				continue
			}
			name, labels := f.Name, map[string]bool{}
			for s := range f.Samples() {
				name = cmp.Or(map[bool]string{true: s.Name}[(f.Type == metric.Counter || f.Type == metric.Info) && !strings.HasSuffix(s.Name, "_created")], name)
				for _, l := range s.Labels {
					if l.Name != "le" && l.Name != "quantile" {
						labels[l.Name] = true
					}
				}
			}
			rows[name] = fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, f.Type, strings.Join(sortedKeys(labels), ", "), cell(f.Help))
		}
		require.NotEmpty(t, rows, title)
		for _, name := range sortedKeys(rows) {
			page.WriteString(rows[name])
		}
	}
	page.WriteString("\n## Metrics\n\nA scrape shows these beside the metrics of the application. Module compat adds\n`multiprom_compat_losses_total` ([client_golang.md](client_golang.md)).\n")
	tell("Of the merged view", "Wherever a directory is served: `mpctl serve`, `mpctl run`, a supervisor, the handler of a worker.",
		registry.Merge(a, fallbackOf(t)), "multiprom_")
	tell("Of an exit", "With remote write or OTLP (`exit` says which), as long as it runs.", exitOf(t), "multiprom_exit_")
	tell("Of processes", "Of every living process of the directory, with the label `pid`; of this process if there is no directory.",
		registry.Directory(a), "process_")
	own := registry.New(registry.Options{})
	own.MustRegister(collectors.NewGoRuntime(), collectors.NewBuildInfo())
	tell("Of the Go runtime", "Of this process if there is no directory, and of each worker that calls `publish.Start` ([collectors.md](collectors.md)).",
		own, "go_")
}

// fallbackOf has the metric of a process that has no file.
func fallbackOf(t *testing.T) gather.Gatherer {
	t.Helper()
	return gather.Func(func(context.Context) ([]*metric.Family, error) {
		return []*metric.Family{{
			Name: "multiprom_store_fallback", Type: metric.Gauge, Series: []metric.Series{{Value: 1}},
			Help: "1 if the process that answers has no file in the directory: its metrics are in no other process's view.",
		}}, nil
	})
}

// exitOf is an exit with a queue that has sent once.
func exitOf(t *testing.T) gather.Gatherer {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	e, err := otlp.New(otlp.Options{Options: delivery.Options{URL: receiver.URL, Interval: 10 * time.Millisecond, QueueDir: t.TempDir()}})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Run(ctx, fallbackOf(t))
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	require.Eventually(t, func() bool {
		families, err := e.Gather(ctx)
		names := ""
		for _, f := range families {
			names += f.Name + " "
		}
		return err == nil && strings.Contains(names, "last_success") && strings.Contains(names, "queue_rounds")
	}, 30*time.Second, 10*time.Millisecond)
	return e
}

func writeExitCodes(page *strings.Builder) {
	fmt.Fprintf(page, "\n## Exit codes\n\n| code | what |\n|---|---|\n| %d | success |\n| %d | the answer is no: `check` found damage, the demo was not exact, a living process is in the way |\n| %d | the command could not do its work |\n", exitOK, exitNo, exitError)
	page.WriteString("\n`mpctl run` ends with 0 after a drain by SIGTERM or SIGINT.\n")
}

// writeVariables writes the table of docs/lifecycle.md, which internal/policy compares with
// the code.
func writeVariables(t *testing.T, page *strings.Builder) {
	text, err := os.ReadFile("../../docs/lifecycle.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Environment variables\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	page.WriteString("\n## Environment variables\n\n")
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "|") {
			page.WriteString(line)
		}
	}
}

func writeCommand(page *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(page, "\n### mpctl %s\n\n`%s`\n\n%s.\n", cmd.Name(), cmd.UseLine(), strings.ToUpper(cmd.Short[:1])+cmd.Short[1:])
	var rows []string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		def := ""
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			def = "`" + f.DefValue + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", name, def, cell(usage)))
	})
	if len(rows) > 0 {
		page.WriteString("\n| flag | default | what |\n|---|---|---|\n" + strings.Join(rows, ""))
	}
}

// cell is a text as a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(text)
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// namedMetrics are the names of our own metrics that the packages' sources have.
func namedMetrics(t *testing.T) (names []string) {
	name := regexp.MustCompile(`Name:\s*"(multiprom_[a-z_]*[a-z])"|(?:gauge|counter|show)\("(multiprom_[a-z_]*[a-z])"`)
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "examples" || d.Name() == "compat") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1]+m[2])
		}
		return err
	}))
	require.Greater(t, len(names), 20, "the test does not find the names")
	return names
}
