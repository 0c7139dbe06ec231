package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/multiprom/multiprom/internal/glance"
)

// topView is what `mpctl top` shows of a picture.
type topView struct {
	families bool   // and not the workers
	family   string // of which workers show the rate, or empty
	filter   string // only rows that have this text in them
	sort     int    // number of the column
	reverse  bool
}

// A sorting is a column by which rows can be sorted.
type sorting[T any] struct {
	column
	cell    func(*topView, *T) string
	compare func(v *topView, a, b *T) int // in the order that is shown first
}

var workerColumns = []sorting[glance.Worker]{
	{column{title: "SLOT"}, func(_ *topView, w *glance.Worker) string { return w.SlotText() },
		func(_ *topView, a, b *glance.Worker) int { return glance.BySlot(a, b) }},
	{column{title: "PID"}, func(_ *topView, w *glance.Worker) string { return strconv.Itoa(w.PID) },
		func(_ *topView, a, b *glance.Worker) int { return cmp.Compare(a.PID, b.PID) }},
	{column{title: "PROCESS ID", left: true, order: 2}, func(_ *topView, w *glance.Worker) string { return w.ID },
		func(_ *topView, a, b *glance.Worker) int { return strings.Compare(a.ID, b.ID) }},
	{column{title: "STATE", left: true}, func(_ *topView, w *glance.Worker) string { return w.StateText() },
		func(_ *topView, a, b *glance.Worker) int { return glance.ByState(a, b) }},
	{column{title: "AGE"}, func(_ *topView, w *glance.Worker) string { return glance.DurationOf(w.Age) },
		func(_ *topView, a, b *glance.Worker) int { return glance.LargestFirst(a.Age, b.Age) }},
	{column{title: "CHANGED"}, func(_ *topView, w *glance.Worker) string { return w.ChangedText() },
		func(_ *topView, a, b *glance.Worker) int { return cmp.Compare(b.Unchanged, a.Unchanged) }},
	{column{title: "SHARE"}, func(_ *topView, w *glance.Worker) string { return glance.PercentOf(w.Share) },
		func(_ *topView, a, b *glance.Worker) int { return glance.LargestFirst(a.Share, b.Share) }},
	{column{title: "RATE/s"}, func(v *topView, w *glance.Worker) string { return glance.ShortOf(v.rateOf(w)) },
		func(v *topView, a, b *glance.Worker) int { return glance.LargestFirst(v.rateOf(a), v.rateOf(b)) }},
	{column{title: "CPU", order: 1}, func(_ *topView, w *glance.Worker) string { return glance.PercentOf(w.CPU) },
		func(_ *topView, a, b *glance.Worker) int { return glance.LargestFirst(a.CPU, b.CPU) }},
	{column{title: "RSS", order: 1}, func(_ *topView, w *glance.Worker) string { return glance.ShortOf(w.RSS) },
		func(_ *topView, a, b *glance.Worker) int { return glance.LargestFirst(a.RSS, b.RSS) }},
	{column{title: "SERIES", order: 3}, func(_ *topView, w *glance.Worker) string { return glance.ShortCount(w.Series) },
		func(_ *topView, a, b *glance.Worker) int { return cmp.Compare(b.Series, a.Series) }},
	{column{title: "BYTES", order: 5}, func(_ *topView, w *glance.Worker) string { return glance.Short(float64(w.Bytes)) },
		func(_ *topView, a, b *glance.Worker) int { return cmp.Compare(b.Bytes, a.Bytes) }},
	{column{title: "TREND", left: true, order: 6}, func(_ *topView, w *glance.Worker) string { return sparkline(w.History, trendWidth) },
		func(_ *topView, a, b *glance.Worker) int { return cmp.Compare(last(b.History), last(a.History)) }},
}

var familyColumns = []sorting[glance.Family]{
	{column{title: "FAMILY", left: true}, func(_ *topView, f *glance.Family) string { return f.Name },
		func(_ *topView, a, b *glance.Family) int { return strings.Compare(a.Name, b.Name) }},
	{column{title: "TYPE", left: true, order: 2}, func(_ *topView, f *glance.Family) string { return f.Type },
		func(_ *topView, a, b *glance.Family) int { return strings.Compare(a.Type, b.Type) }},
	{column{title: "MODE", left: true, order: 4}, func(_ *topView, f *glance.Family) string { return dash(f.Mode) },
		func(_ *topView, a, b *glance.Family) int { return strings.Compare(a.Mode, b.Mode) }},
	{column{title: "SERIES"}, func(_ *topView, f *glance.Family) string { return glance.ShortCount(f.Series) },
		func(_ *topView, a, b *glance.Family) int { return cmp.Compare(b.Series, a.Series) }},
	{column{title: "BYTES"}, func(_ *topView, f *glance.Family) string { return glance.Short(float64(f.Bytes)) },
		func(_ *topView, a, b *glance.Family) int { return cmp.Compare(b.Bytes, a.Bytes) }},
	{column{title: "RATE/s"}, func(_ *topView, f *glance.Family) string { return glance.ShortOf(f.Rate) },
		func(_ *topView, a, b *glance.Family) int { return glance.LargestFirst(a.Rate, b.Rate) }},
	{column{title: "CHANGES/s", order: 1}, func(_ *topView, f *glance.Family) string { return glance.ShortOf(f.Changes) },
		func(_ *topView, a, b *glance.Family) int { return glance.LargestFirst(a.Changes, b.Changes) }},
	{column{title: "TREND", left: true, order: 3}, func(_ *topView, f *glance.Family) string { return sparkline(f.History, trendWidth) },
		func(_ *topView, a, b *glance.Family) int { return cmp.Compare(last(b.History), last(a.History)) }},
}

// trendWidth is how many looks a sparkline has.
const trendWidth = 12

func last(h []float64) float64 {
	if len(h) == 0 {
		return -1
	}
	return h[len(h)-1]
}

// rateOf returns the rate of the chosen family in a worker.
func (v *topView) rateOf(w *glance.Worker) *float64 {
	if v.family == "" || w.Share == nil {
		return nil
	}
	rate := w.Rates[v.family]
	return &rate
}

// columns returns the titles of the columns that there are.
func (v *topView) columns() (titles []string) {
	if v.families {
		for _, c := range familyColumns {
			titles = append(titles, c.title)
		}
		return titles
	}
	for _, c := range workerColumns {
		titles = append(titles, c.title)
	}
	return titles
}

// table returns the head and the rows, and the names of the rows.
func (v *topView) table(p *glance.Picture, width int) (lines, names []string) {
	if v.families {
		return fillGrid(v, familyColumns, p.Families, func(f *glance.Family) string { return f.Name }, width)
	}
	columns := workerColumns
	if v.family == "" {
		columns = slices.DeleteFunc(slices.Clone(columns), func(c sorting[glance.Worker]) bool { return c.title == "RATE/s" })
	}
	return fillGrid(v, columns, p.Workers, func(w *glance.Worker) string { return w.ID }, width)
}

func fillGrid[T any](v *topView, columns []sorting[T], all []T, name func(*T) string, width int) (lines, names []string) {
	rows := make([]*T, 0, len(all))
	for i := range all {
		rows = append(rows, &all[i])
	}
	by := v.columns()[v.sort]
	for i := range columns {
		if c := &columns[i]; c.title == by {
			slices.SortStableFunc(rows, func(a, b *T) int {
				if v.reverse {
					a, b = b, a
				}
				return c.compare(v, a, b)
			})
		}
	}
	var g grid
	for _, c := range columns {
		if c.title == by {
			c.title += "*" // the rows are sorted by it
		}
		g.columns = append(g.columns, c.column)
	}
	for _, r := range rows {
		var row []string
		for _, c := range columns {
			row = append(row, c.cell(v, r))
		}
		if v.filter == "" || strings.Contains(strings.Join(row, " "), v.filter) {
			g.rows, names = append(g.rows, row), append(names, name(r))
		}
	}
	return g.lines(width), names
}

// summary returns the lines above the table.
func (v *topView) summary(p *glance.Picture, width int) []string {
	var states tally
	for i := range p.Workers {
		states.add(p.Workers[i].StateText())
	}
	first := fmt.Sprintf("%s: %s, %d series, %s", plural(len(p.Workers), "worker"), states.String(), p.Series, plural(len(p.Families), "family"))
	if len(p.Workers) == 0 {
		first = fmt.Sprintf("no workers, %d series, %s", p.Series, plural(len(p.Families), "family"))
	}
	if p.Archive.Bytes > 0 {
		first += fmt.Sprintf("; archive: %sB of %s", glance.Short(float64(p.Archive.Bytes)), plural(int(p.Archive.Processes), "process"))
	}
	return []string{cut(printable(first), width), cut(printable(healthLine(&p.Health)), width)}
}

// healthLine says what is wrong.
func healthLine(h *glance.Health) string {
	if h.OK {
		return "nothing is wrong"
	}
	var parts []string
	if len(h.Stopped) > 0 {
		parts = append(parts, "stopped by a signal: "+strings.Join(h.Stopped, ", "))
	}
	if len(h.Silent) > 0 {
		parts = append(parts, "silent, while others change: "+strings.Join(h.Silent, ", "))
	}
	if n := len(h.LeftOut); n > 0 {
		parts = append(parts, plural(n, "file")+" left out (mpctl check)")
	}
	if n := len(h.Conflicts); n > 0 {
		parts = append(parts, plural(n, "conflict")+" (mpctl families)")
	}
	return strings.Join(parts, "; ")
}
