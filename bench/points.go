package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// point is one size of a ladder, with the measured values by column name. A ratio
// compares the cost of one more of what the ladder counts with that cost at the smallest
// point.
type point struct {
	ladder string
	size   int
	values map[string]float64
}

// measures are the columns after ladder and size. A field is empty if nothing was
// measured.
var measures = []string{
	"warm_ns", "warm_ratio", "cold_ns", "cold_ratio", "compact_ns", "compact_ratio", "heap_bytes", "text_bytes", "directory_bytes",
}

var header = "ladder,size," + strings.Join(measures, ",")

// formatPoints returns comma-separated values. The first line is a comment that says where
// they come from, the second is the header, then there is a line for each point.
func formatPoints(about string, points []point) string {
	lines := []string{"# " + about, header}
	for _, p := range points {
		fields := []string{p.ladder, strconv.Itoa(p.size)}
		for _, m := range measures {
			field := ""
			if v, ok := p.values[m]; ok {
				field = fmt.Sprintf("%.4g", v)
				if v >= 1000 {
					field = fmt.Sprintf("%.0f", v)
				}
			}
			fields = append(fields, field)
		}
		lines = append(lines, strings.Join(fields, ","))
	}
	return strings.Join(lines, "\n") + "\n"
}

// parsePoints parses the output of formatPoints. An error names the line.
func parsePoints(text string) (about string, points []point, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	about, isComment := strings.CutPrefix(lines[0], "# ")
	switch {
	case !isComment:
		return "", nil, errors.New(`line 1: does not begin with "# "`)
	case len(lines) < 2 || lines[1] != header:
		return "", nil, fmt.Errorf("line 2: is not the header %q", header)
	case len(lines) < 3:
		return "", nil, errors.New("line 3: there are no points")
	}
	for i, line := range lines[2:] {
		p, err := parsePoint(line)
		if err != nil {
			return "", nil, fmt.Errorf("line %d: %w", i+3, err)
		}
		points = append(points, p)
	}
	return about, points, nil
}

func parsePoint(line string) (p point, err error) {
	fields := strings.Split(line, ",")
	if want := 2 + len(measures); len(fields) != want {
		return p, fmt.Errorf("%d fields instead of %d", len(fields), want)
	}
	p = point{ladder: fields[0], values: map[string]float64{}}
	if !slices.ContainsFunc(ladders, func(l ladder) bool { return l.name == p.ladder }) {
		return p, fmt.Errorf("there is no ladder %q", p.ladder)
	}
	if p.size, err = strconv.Atoi(fields[1]); err != nil || p.size <= 0 {
		return p, fmt.Errorf("size %q is not a positive integer", fields[1])
	}
	for i, field := range fields[2:] {
		if field == "" {
			continue
		}
		v, err := strconv.ParseFloat(field, 64)
		if err != nil || !(v > 0) || math.IsInf(v, 0) { // a logarithmic axis has no place for other values
			return p, fmt.Errorf("%s %q is not a positive number", measures[i], field)
		}
		p.values[measures[i]] = v
	}
	return p, nil
}
