package glance

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rows that a table has at most, so that a page stays small; a text or another order finds
// the others.
const (
	maxWorkers  = 500
	maxFamilies = 200
)

// trendPoints is how many values a sparkline has.
const trendPoints = 30

// render writes the page. query has the order of the workers (w) and families (f), and the
// text (q) that rows must have in their names.
func (s *Site) render(p *Picture, query url.Values) []byte {
	b := &builder{query: query}
	b.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">")
	b.raw("<title>multiprom: ", html.EscapeString(p.Dir), "</title><link rel=\"icon\" href=\"data:,\">")
	b.raw("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>")
	b.raw("<style>", style, "</style><script type=\"module\">", script, "</script></head>\n<body><main>\n")
	s.head(b, p)
	filter := strings.TrimSpace(query.Get("q"))
	b.raw("<form role=\"search\"><label>Only names with <input name=\"q\" value=\"", html.EscapeString(filter), "\"></label>")
	for _, order := range []string{"w", "f"} {
		if v := query.Get(order); v != "" {
			b.raw("<input type=\"hidden\" name=\"", order, "\" value=\"", html.EscapeString(v), "\">")
		}
	}
	b.raw(" <button>Filter</button></form>\n")
	trend := " Trend: of the last looks."
	if s.opts.Trends != nil {
		t := s.opts.Trends()
		trend = " Trend: of the last " + Duration(float64(t.Steps)*t.Step.Seconds()) + ", recorded."
	}
	table(b, "Workers", "w", workerTable, p.Workers, maxWorkers, func(w *Worker) bool { return strings.Contains(w.ID, filter) },
		"Changed: since a value was seen to change. Share: of what the workers count. Of /proc: CPU and memory."+trend)
	table(b, "Metrics", "f", familyTable, p.Families, maxFamilies, func(f *Family) bool { return strings.Contains(f.Name, filter) },
		"Rate: increments or observations a second. Changes: series found changed, a second. Bytes: in the files of processes."+trend)
	values(b, p)
	s.foot(b)
	b.raw("</main></body></html>\n")
	return b.Bytes()
}

// builder builds a page.
type builder struct {
	bytes.Buffer
	query url.Values
}

func (b *builder) raw(parts ...string) {
	for _, p := range parts {
		b.WriteString(p)
	}
}

// text writes a text that may have any characters.
func (b *builder) text(s string) { b.WriteString(html.EscapeString(s)) }

// link returns the URL of the page with one parameter changed.
func (b *builder) link(name, value string) string {
	q := url.Values{}
	for k, v := range b.query {
		if k == "w" || k == "f" || k == "q" {
			q[k] = v[:1]
		}
	}
	q.Set(name, value)
	return html.EscapeString("?" + q.Encode())
}

func (s *Site) head(b *builder, p *Picture) {
	b.raw("<h1>")
	b.text(p.Dir)
	b.raw("</h1>\n<p class=\"soft\" id=\"at\" role=\"status\">", p.Time.Format("2006-01-02 15:04:05 UTC"))
	if p.Seconds > 0 {
		b.raw(", rates over ", fmt.Sprintf("%.1f", p.Seconds), " s")
	}
	b.raw(" &middot; <a href=\"metrics\">/metrics</a></p>\n")
	states := map[string]int{}
	var order []string
	for i := range p.Workers {
		state := p.Workers[i].State
		if states[state]++; states[state] == 1 {
			order = append(order, state)
		}
	}
	b.raw("<p>")
	for _, state := range order {
		b.raw(strconv.Itoa(states[state]), " ", state, ", ")
	}
	b.raw(strconv.Itoa(p.Series), " series in ", plural(uint64(len(p.Families)), "metric"))
	if p.Archive.Bytes > 0 {
		b.raw(", archive of ", plural(p.Archive.Processes, "dead process"), ": ", Short(float64(p.Archive.Bytes)), "B")
	}
	b.raw("</p>\n<h2>Health</h2>\n")
	h := &p.Health
	if h.OK {
		b.raw("<p>Nothing is wrong.</p>\n")
		return
	}
	b.raw("<ul>\n")
	for _, id := range h.Stopped {
		b.raw("<li><span class=\"bad\">Stopped:</span> worker ")
		b.text(id)
		b.raw(" does nothing, because of a signal or a debugger; <code>kill -CONT</code> lets it go on</li>\n")
	}
	for _, id := range h.Silent {
		b.raw("<li><span class=\"bad\">Silent:</span> worker ")
		b.text(id)
		b.raw(" changes nothing, while others do</li>\n")
	}
	for _, f := range h.LeftOut {
		b.raw("<li><span class=\"bad\">File left out:</span> ")
		b.text(f)
		b.raw("; <code>mpctl check</code> says why</li>\n")
	}
	for _, c := range h.Conflicts {
		b.raw("<li><span class=\"bad\">Conflict:</span> ")
		b.text(c)
		b.raw("</li>\n")
	}
	b.raw("</ul>\n")
}

// plural returns a number with its noun.
func plural(n uint64, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "s"):
		noun += "es"
	default:
		noun += "s"
	}
	return strconv.FormatUint(n, 10) + " " + noun
}

// A tableColumn is a column of a table of the page.
type tableColumn[T any] struct {
	title, key string
	text       bool
	cell       func(*T) string
	compare    func(a, b *T) int        // in the order that a click shows
	draw       func(b *builder, row *T) // in place of cell
}

var workerTable = []tableColumn[Worker]{
	{title: "Slot", key: "slot", cell: (*Worker).SlotText, compare: func(a, b *Worker) int { return compareWorkers(*a, *b) }},
	{title: "PID", key: "pid", cell: func(w *Worker) string { return strconv.Itoa(w.PID) }, compare: func(a, b *Worker) int { return cmp.Compare(a.PID, b.PID) }},
	{title: "Process ID", key: "id", text: true, cell: func(w *Worker) string { return w.ID }, compare: func(a, b *Worker) int { return strings.Compare(a.ID, b.ID) }},
	{title: "State", key: "state", text: true, cell: (*Worker).StateText, compare: ByState},
	{title: "Age", key: "age", cell: func(w *Worker) string { return DurationOf(w.Age) }, compare: func(a, b *Worker) int { return LargestFirst(a.Age, b.Age) }},
	{title: "Changed", key: "changed", cell: (*Worker).ChangedText, compare: func(a, b *Worker) int { return cmp.Compare(b.Unchanged, a.Unchanged) }},
	{title: "Share", key: "share", cell: func(w *Worker) string { return PercentOf(w.Share) }, compare: func(a, b *Worker) int { return LargestFirst(a.Share, b.Share) }},
	{title: "CPU", key: "cpu", cell: func(w *Worker) string { return PercentOf(w.CPU) }, compare: func(a, b *Worker) int { return LargestFirst(a.CPU, b.CPU) }},
	{title: "RSS", key: "rss", cell: func(w *Worker) string { return ShortOf(w.RSS) }, compare: func(a, b *Worker) int { return LargestFirst(a.RSS, b.RSS) }},
	{title: "Series", key: "series", cell: func(w *Worker) string { return strconv.Itoa(w.Series) }, compare: func(a, b *Worker) int { return cmp.Compare(b.Series, a.Series) }},
	{title: "Bytes", key: "bytes", cell: func(w *Worker) string { return Short(float64(w.Bytes)) }, compare: func(a, b *Worker) int { return cmp.Compare(b.Bytes, a.Bytes) }},
	{title: "Trend", text: true, draw: func(b *builder, w *Worker) { b.sparkline("rate of "+w.ID, w.History) }},
}

var familyTable = []tableColumn[Family]{
	{title: "Metric", key: "name", text: true, cell: func(f *Family) string { return f.Name }, compare: func(a, b *Family) int { return strings.Compare(a.Name, b.Name) }},
	{title: "Type", key: "type", text: true, cell: func(f *Family) string { return strings.TrimSpace(f.Type + " " + f.Mode) }, compare: func(a, b *Family) int { return strings.Compare(a.Type+a.Mode, b.Type+b.Mode) }},
	{title: "Series", key: "series", cell: func(f *Family) string { return strconv.Itoa(f.Series) }, compare: func(a, b *Family) int { return cmp.Compare(b.Series, a.Series) }},
	{title: "Processes", key: "processes", cell: func(f *Family) string { return strconv.Itoa(f.Processes) }, compare: func(a, b *Family) int { return cmp.Compare(b.Processes, a.Processes) }},
	{title: "Bytes", key: "bytes", cell: func(f *Family) string { return Short(float64(f.Bytes)) }, compare: func(a, b *Family) int { return cmp.Compare(b.Bytes, a.Bytes) }},
	{title: "Rate/s", key: "rate", cell: func(f *Family) string { return ShortOf(f.Rate) }, compare: func(a, b *Family) int { return LargestFirst(a.Rate, b.Rate) }},
	{title: "Changes/s", key: "changes", cell: func(f *Family) string { return ShortOf(f.Changes) }, compare: func(a, b *Family) int { return LargestFirst(a.Changes, b.Changes) }},
	{title: "Trend", text: true, draw: func(b *builder, f *Family) { b.sparkline("rate of "+f.Name, f.History) }},
}

// table writes a table, sorted as the query's parameter says.
func table[T any](b *builder, title, parameter string, columns []tableColumn[T], all []T, most int, filter func(*T) bool, caption string) {
	by := slices.IndexFunc(columns, func(c tableColumn[T]) bool { return c.key != "" && c.key == b.query.Get(parameter) })
	by = max(by, 0)
	rows := make([]*T, 0, len(all))
	for i := range all {
		if filter(&all[i]) {
			rows = append(rows, &all[i])
		}
	}
	slices.SortStableFunc(rows, columns[by].compare)
	b.raw("<h2>", title, "</h2>\n<div class=\"scroll\"><table><caption>", strconv.Itoa(len(rows)), " of ", strconv.Itoa(len(all)), ". ", caption)
	if len(rows) > most {
		b.raw(" The first ", strconv.Itoa(most), " are shown.")
		rows = rows[:most]
	}
	b.raw("</caption>\n<thead><tr>")
	for i, c := range columns {
		b.raw("<th scope=\"col\"", class(c.text, ""))
		if i == by {
			b.raw(" aria-sort=\"other\"")
		}
		b.raw(">")
		if c.key == "" {
			b.raw(c.title)
		} else {
			b.raw("<a href=\"", b.link(parameter, c.key), "\">", c.title, "</a>")
		}
		b.raw("</th>")
	}
	b.raw("</tr></thead>\n<tbody>\n")
	for _, row := range rows {
		if w, ok := any(row).(*Worker); ok && w.Wrong() {
			b.raw("<tr class=\"wrong\">")
		} else {
			b.raw("<tr>")
		}
		for _, c := range columns {
			b.raw("<td", class(c.text, c.key), ">")
			if c.draw != nil {
				c.draw(b, row)
			} else {
				b.text(c.cell(row))
			}
			b.raw("</td>")
		}
		b.raw("</tr>\n")
	}
	b.raw("</tbody></table></div>\n")
}

func class(text bool, key string) string {
	switch {
	case key == "name" || key == "id":
		return ` class="t name"`
	case text:
		return ` class="t"`
	}
	return ""
}

// sparkline draws the last values as a line, with gaps where they are not known.
func (b *builder) sparkline(title string, values []float64) {
	if values = values[max(0, len(values)-trendPoints):]; len(values) < 2 {
		return
	}
	most := 1e-9
	for _, v := range values {
		if v > most { // NaN is not
			most = v
		}
	}
	now := "now unknown"
	if v := values[len(values)-1]; v == v {
		now = "now " + Short(v) + " a second"
	}
	b.raw(`<svg role="img" viewBox="0 0 60 24" preserveAspectRatio="none" aria-label="`, html.EscapeString(title), ", ", now, `">`)
	height := func(i int) int { // from the top, or -1 if it is not known
		if i < 0 || i >= len(values) || math.IsNaN(values[i]) {
			return -1
		}
		return int(math.Round(22 - 20*values[i]/most))
	}
	for i := range values {
		y, before, after := height(i), height(i-1), height(i+1)
		if y < 0 || y == before && y == after {
			continue // nothing, or in the middle of a level line
		}
		if before < 0 {
			b.raw(`<polyline points="`)
		} else {
			b.WriteByte(' ')
		}
		b.raw(strconv.Itoa(i*60/(len(values)-1)), ",", strconv.Itoa(y))
		if after < 0 {
			b.raw(`"/>`)
		}
	}
	b.raw("</svg>")
}

// values writes which labels have the most values.
func values(b *builder, p *Picture) {
	var rows []string
	families := slices.Clone(p.Families)
	slices.SortStableFunc(families, func(f, g Family) int { return cmp.Compare(g.Series, f.Series) })
	for _, f := range families {
		for _, v := range f.Values {
			var top []string
			for _, t := range v.Top {
				top = append(top, fmt.Sprintf("%q %d", t.Value, t.Series))
			}
			rows = append(rows, fmt.Sprintf("<tr><td class=\"t name\">%s</td><td class=\"t\">%s</td><td>%d</td><td class=\"t name\">%s</td></tr>\n",
				html.EscapeString(f.Name), html.EscapeString(v.Label), v.Distinct, html.EscapeString(strings.Join(top, ", "))))
		}
	}
	if len(rows) == 0 {
		return
	}
	b.raw("<h2>Cardinality</h2>\n<div class=\"scroll\"><table><caption>Labels of the largest metrics, with the values that most series have.</caption>\n")
	b.raw("<thead><tr><th scope=\"col\" class=\"t\">Metric</th><th scope=\"col\" class=\"t\">Label</th><th scope=\"col\">Values</th><th scope=\"col\" class=\"t\">Most series</th></tr></thead>\n<tbody>\n")
	b.raw(rows...)
	b.raw("</tbody></table></div>\n")
}

// foot says what the server is.
func (s *Site) foot(b *builder) {
	b.raw("<h2>Server</h2>\n<p class=\"soft\">")
	facts := append([]Fact{
		{"version", cmp.Or(s.opts.Version, "unknown")}, {"Go", runtime.Version()}, {"up for", Duration(time.Since(s.started).Seconds())},
	}, s.opts.Facts...)
	for i, f := range facts {
		if i > 0 {
			b.raw(" &middot; ")
		}
		b.text(f.Name + " " + f.Value)
	}
	b.raw("</p>\n")
}
