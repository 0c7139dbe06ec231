package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// A grid is a table that fits a width: columns are left out, those that matter least first,
// and then the widest text is cut.
type grid struct {
	columns []column
	rows    [][]string
	whole   bool // columns are left out rather than a text cut
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
	flexible := 0
	for i, c := range g.columns {
		if c.left && widths[i] > widths[flexible] || !g.columns[flexible].left {
			flexible = i
		}
	}
	least := 10 // what is left of a text
	if g.columns[flexible].order == 0 {
		least = 20 // it is what the row is about: other columns go first
	}
	if g.whole {
		least = widths[flexible]
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

// print prints the table, as wide as the terminal at most.
func (g *grid) print(w io.Writer) error {
	for _, line := range g.lines(widthOf(w)) {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// cut shortens a text to a width, and marks that.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(0, width-1)]) + "~"
}

// sparkline draws the last values, the newest on the right, with blanks where they are not known.
func sparkline(values []float64, width int) string {
	const bars = "▁▂▃▄▅▆▇█"
	values = values[max(0, len(values)-width):]
	most := 0.0
	for _, v := range values {
		if v > most { // NaN is not
			most = v
		}
	}
	var b strings.Builder
	for _, v := range values {
		n := 0
		if math.IsNaN(v) {
			b.WriteByte(' ')
			continue
		}
		if most > 0 {
			n = int(math.Round(v / most * 7))
		}
		b.WriteRune([]rune(bars)[n])
	}
	return b.String()
}
