package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// drawAll draws the points of a CSV file and writes them as a table, to files next to it
// with its name and a suffix.
func drawAll(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	about, points, err := parsePoints(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	stem := strings.TrimSuffix(path, filepath.Ext(path))
	files := map[string]string{stem + ".md": pointsTable(about, points)}
	for name, p := range plotsOf(points) {
		files[stem+"-"+name+".svg"] = p.svg()
	}
	for path, content := range files {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// plots says what is drawn: the name, ladder and measure of each line.
var plots = []struct {
	name, title, x, unit string
	lines                [][3]string
}{
	{"processes", "Processes with the same 1,000 counters each", "processes", "ns", [][3]string{
		{"cold scrape", "processes", "cold_ns"}, {"warm scrape", "processes", "warm_ns"},
	}},
	{"series", "Counters that 4 processes have each", "merged series", "ns", [][3]string{
		{"cold scrape", "series", "cold_ns"}, {"warm scrape", "series", "warm_ns"},
	}},
	{"files", "Dead processes with the same 10 counters each", "dead processes", "ns", [][3]string{
		{"cold", "files", "cold_ns"}, {"warm", "files", "warm_ns"},
		{"cold, compacted", "compacted", "cold_ns"}, {"warm, compacted", "compacted", "warm_ns"}, {"compact", "compacted", "compact_ns"},
	}},
	{"memory", "Bytes of counters that 4 processes have each", "merged series", "B", [][3]string{
		{"directory", "series", "directory_bytes"}, {"text", "series", "text_bytes"}, {"aggregator's heap", "series", "heap_bytes"},
	}},
}

// plotsOf returns the plots that have points, by file name.
func plotsOf(points []point) map[string]plot {
	all := map[string]plot{}
	for _, d := range plots {
		drawn := plot{title: d.title, x: d.x, unit: d.unit}
		for _, l := range d.lines {
			if at := pick(points, l[1], l[2]); len(at) > 0 {
				drawn.lines = append(drawn.lines, line{l[0], at})
			}
		}
		if len(drawn.lines) > 0 {
			all[d.name] = drawn
		}
	}
	return all
}

func pick(points []point, ladder, measure string) (at []xy) {
	for _, p := range points {
		if v, ok := p.values[measure]; ok && p.ladder == ladder {
			at = append(at, xy{float64(p.size), v})
		}
	}
	return at
}

// pointsTable is a page with a table for each ladder.
func pointsTable(about string, points []point) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Written by `make bench-plots`; do not edit. -->\n\n# Cost against size\n\n%s\n\n", about)
	b.WriteString("The number after a time is the cost per process, series or file relative to the first row: 1.00 is proportional, less is better.\n")
	for _, l := range ladders {
		heads := []string{l.name}
		for _, m := range measures {
			if name, unit, _ := strings.Cut(m, "_"); unit != "ratio" && len(pick(points, l.name, m)) > 0 {
				heads = append(heads, name)
			}
		}
		if len(heads) == 1 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n| %s |\n%s|\n", l.name, l.about, strings.Join(heads, " | "), strings.Repeat("|---:", len(heads)))
		for _, p := range points {
			if p.ladder == l.name {
				fmt.Fprintf(&b, "| %s |\n", strings.Join(p.cells(heads[1:]), " | "))
			}
		}
	}
	return b.String()
}

func (p point) cells(heads []string) []string {
	cells := []string{thousands(p.size)}
	for _, name := range heads {
		cell := ""
		if ns, ok := p.values[name+"_ns"]; ok {
			cell = quantity(ns, "ns") + ", " + ratio(p.values[name+"_ratio"])
		} else if bytes, ok := p.values[name+"_bytes"]; ok {
			cell = amount(bytes, "B")
		}
		cells = append(cells, cell)
	}
	return cells
}
