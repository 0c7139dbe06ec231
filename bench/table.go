package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// printTable writes an aligned table with a line for each pair of sides.
func printTable(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\tours\tpeer or floor\t\tratio\tgoal\t")
	group := ""
	for _, r := range results {
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(t, "%s:\t\t\t\t\t\t\n", group)
		}
		fmt.Fprintln(t, strings.Join(append([]string{"  " + r.Row}, r.cells()...), "\t"))
	}
	return t.Flush()
}

// cells returns the columns after the name.
func (r result) cells() []string {
	value, goal, verdict := "", "", ""
	if r.Other != "" {
		value = quantity(r.Value, r.Unit)
	}
	if r.Goal != 0 {
		goal, verdict = "<= "+ratio(r.Goal), "ok"
		if !r.OK {
			verdict = "missed"
		}
	}
	return []string{quantity(r.Ours, r.Unit), r.Other, value, ratio(r.Ratio), goal, verdict}
}

func missed(results []result) (n int) {
	for _, r := range results {
		if !r.OK {
			n++
		}
	}
	return n
}

// quantity returns three digits with a suitable unit.
func quantity(v float64, unit string) string {
	scaled, ofTime := strings.CutPrefix(unit, "ns")
	if !ofTime {
		return strings.TrimSpace(digits(v) + " " + unit)
	}
	for _, u := range []string{"ns", "us", "ms"} {
		if v < 1000 {
			return digits(v) + " " + u + scaled
		}
		v /= 1000
	}
	return digits(v) + " s" + scaled
}

func digits(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// ratio formats small ratios as fractions: 1/300 is three hundred times as fast.
func ratio(v float64) string {
	switch {
	case v < 0:
		return ""
	case v < 0.1:
		return fmt.Sprintf("1/%.0f", 1/v)
	}
	return fmt.Sprintf("%.2f", v)
}

// markdown returns the table as a page, with the versions and the machine.
func markdown(results []result, command string, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Written by `make bench-full`; do not edit. -->\n\n# Measurements\n\n")
	fmt.Fprintf(&b, "%s\n\n", environment(took))
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if slices.Contains(peers, m.Path) {
				fmt.Fprintf(&b, "- %s %s\n", m.Path, m.Version)
			}
		}
	}
	fmt.Fprintf(&b, "\nCommand, in bench/: `%s`. Times are medians, a ratio is the median of the rounds' ratios.\n", command)
	group := ""
	for _, r := range results {
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(&b, "\n## %s\n\n| work | ours | peer or floor | | ratio | goal | | allocations | bytes |\n|---|---|---|---|---|---|---|---|---|\n", group)
		}
		allocs, bytes := "", ""
		if strings.HasPrefix(r.Unit, "ns") {
			allocs, bytes = digits(r.Allocs), digits(r.Bytes)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(append(append([]string{r.Row}, r.cells()...), allocs, bytes), " | "))
	}
	return b.String()
}

// environment returns what the times depend on.
func environment(took time.Duration) string {
	return fmt.Sprintf("%s, %s. %s/%s, %d CPUs%s. %s.", time.Now().UTC().Format(time.DateOnly),
		took.Round(time.Second), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), machine(), runtime.Version())
}

var peers = []string{
	"github.com/prometheus/client_golang", "github.com/VictoriaMetrics/metrics",
	"go.opentelemetry.io/otel/sdk/metric", "go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp",
	"github.com/prometheus/prometheus", "github.com/klauspost/compress",
}

// machine returns the model of the processor, if the system tells it.
func machine() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, model, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return ", " + strings.TrimSpace(model)
		}
	}
	return ""
}
