package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A grid is a table that fits a width: columns are left out, those that matter least first,
// and then the widest text is cut.
type grid struct {
	columns []column
	rows    [][]string
}

type column struct {
	title string
	left  bool // text, and not a number
	order int  // which columns go first if the width is short: the highest
}

// lines returns the head and the rows, none of them wider than width.
func (g *grid) lines(width int) []string {
	widths := make([]int, len(g.columns))
	for i, c := range g.columns {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, row := range g.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	const least = 10 // what is left of a text
	flexible := 0
	for i, c := range g.columns {
		if c.left && widths[i] > widths[flexible] || !g.columns[flexible].left {
			flexible = i
		}
	}
	shown := make([]bool, len(g.columns))
	for i := range shown {
		shown[i] = true
	}
	total := func(text int) int {
		sum := -1
		for i, w := range widths {
			if i == flexible {
				w = text
			}
			if shown[i] {
				sum += w + 1
			}
		}
		return sum
	}
	for total(min(widths[flexible], least)) > width {
		last := -1
		for i, c := range g.columns {
			if shown[i] && c.order > 0 && (last < 0 || c.order > g.columns[last].order) {
				last = i
			}
		}
		if last < 0 {
			break
		}
		shown[last] = false
	}
	if over := total(widths[flexible]) - width; over > 0 {
		widths[flexible] = max(1, widths[flexible]-over)
	}
	head := make([]string, len(g.columns))
	for i, c := range g.columns {
		head[i] = c.title
	}
	out := make([]string, 0, 1+len(g.rows))
	for _, row := range append([][]string{head}, g.rows...) {
		var b strings.Builder
		for i, cell := range row {
			if !shown[i] {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			cell = cut(printable(strings.ReplaceAll(cell, "\n", " ")), widths[i])
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if g.columns[i].left {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
		}
		out = append(out, strings.TrimRight(cut(b.String(), width), " "))
	}
	return out
}

// cut shortens a text to a width, and marks that.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(0, width-1)]) + "~"
}

// short returns a number in at most five characters, such as 0.12, 7.5, 123, 4.5k or 12M.
func short(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Sprint(v)
	case a == 0:
		return "0"
	case a < 0.01:
		return "<.01"
	case a < 0.995:
		return fmt.Sprintf("%.2f", v)
	case a < 9.95:
		return fmt.Sprintf("%.1f", v)
	case a < 999.5:
		return fmt.Sprintf("%.0f", v)
	}
	for _, unit := range "kMGTPE" {
		if v /= 1000; math.Abs(v) < 9.95 {
			return fmt.Sprintf("%.1f%c", v, unit)
		} else if math.Abs(v) < 999.5 {
			return fmt.Sprintf("%.0f%c", v, unit)
		}
	}
	return fmt.Sprintf("%.0e", v)
}

// shortCount is short for a count.
func shortCount(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return short(float64(n))
}

// shortOf is short for a number that may not be known.
func shortOf(v *float64) string {
	if v == nil {
		return "-"
	}
	return short(*v)
}

// percentOf returns a part of 1 as a percentage.
func percentOf(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100**v)
}

// duration returns seconds in one unit.
func duration(seconds float64) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%.0fs", math.Floor(seconds))
	case seconds < 3600:
		return fmt.Sprintf("%.0fm", math.Floor(seconds/60))
	case seconds < 48*3600:
		return fmt.Sprintf("%.0fh", math.Floor(seconds/3600))
	}
	return fmt.Sprintf("%.0fd", math.Floor(seconds/86400))
}

// sparkline draws the last values, the newest on the right.
func sparkline(values []float64, width int) string {
	const bars = "▁▂▃▄▅▆▇█"
	values = values[max(0, len(values)-width):]
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	for _, v := range values {
		n := 0
		if most > 0 {
			n = int(math.Round(v / most * 7))
		}
		b.WriteRune([]rune(bars)[n])
	}
	return b.String()
}
