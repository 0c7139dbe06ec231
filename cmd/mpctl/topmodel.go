package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/multiprom/multiprom/internal/glance"
)

// topModel is the live view of `mpctl top`.
type topModel struct {
	ctx     context.Context
	watcher *glance.Watcher
	every   time.Duration

	view          topView
	picture       *glance.Picture
	err           error
	paused        bool
	help          bool
	helpFrom      int  // the first line of the help that is shown
	typing        bool // the filter
	cursor        int  // number of the row
	width, height int
}

func newTopModel(ctx context.Context, w *glance.Watcher, every time.Duration, v topView) *topModel {
	return &topModel{ctx: ctx, watcher: w, every: every, view: v, width: helpWidth, height: 24}
}

// looked is the result of a look.
type looked struct {
	picture *glance.Picture
	err     error
}

type tick time.Time

func (m *topModel) look() tea.Msg {
	p, err := m.watcher.Look(m.ctx)
	return looked{p, err}
}

func (m *topModel) wait() tea.Cmd {
	return tea.Tick(m.every, func(t time.Time) tea.Msg { return tick(t) })
}

// Init implements tea.Model.
func (m *topModel) Init() tea.Cmd { return tea.Batch(m.look, m.wait()) }

// Update implements tea.Model.
func (m *topModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tick:
		if m.paused {
			return m, m.wait()
		}
		return m, tea.Batch(m.look, m.wait())
	case looked:
		if m.err = msg.err; msg.err == nil && !m.paused {
			m.picture = msg.picture
		}
	case tea.KeyPressMsg:
		if m.typing {
			m.typed(msg)
			return m, nil
		}
		return m, m.pressed(msg.String())
	}
	return m, nil
}

// typed changes the filter.
func (m *topModel) typed(key tea.KeyPressMsg) {
	switch key.String() {
	case "enter":
		m.typing = false
	case "esc", "ctrl+c":
		m.typing, m.view.filter = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.view.filter)
		m.view.filter = m.view.filter[:len(m.view.filter)-n]
	default:
		m.view.filter += key.Text
	}
	m.cursor = 0
}

// pressed obeys a key.
func (m *topModel) pressed(key string) tea.Cmd {
	if m.help && key != "q" && key != "ctrl+c" {
		m.helped(key)
		return nil
	}
	switch key {
	case "q", "ctrl+c":
		return tea.Quit
	case "h", "?", "f1":
		m.help, m.helpFrom = true, 0
	case "p", "space":
		m.paused = !m.paused
	case "tab", "w", "f":
		m.view = topView{families: key == "f" || key == "tab" && !m.view.families, filter: m.view.filter}
		m.view.sort, m.cursor = m.view.defaultSort(), 0
	case "/", "f4":
		m.typing = true
	case "s", ">", "f6":
		m.resort(1)
	case "S", "<":
		m.resort(-1)
	case "r":
		m.view.reverse = !m.view.reverse
	case "esc":
		m.view.filter, m.view.family, m.cursor = "", "", 0
	case "enter":
		m.choose()
	case "up", "k":
		m.cursor--
	case "down", "j":
		m.cursor++
	case "pgup":
		m.cursor -= m.height / 2
	case "pgdown":
		m.cursor += m.height / 2
	case "home":
		m.cursor = 0
	case "end":
		m.cursor = 1 << 30
	case "+":
		m.every = min(2*m.every, time.Minute)
	case "-":
		m.every = max(m.every/2, 250*time.Millisecond)
	}
	return nil
}

// resort sorts by another column.
func (m *topModel) resort(step int) {
	columns := m.view.columns()
	for {
		m.view.sort = (m.view.sort + step + len(columns)) % len(columns)
		if columns[m.view.sort] != "RATE/s" || m.view.families || m.view.family != "" {
			break
		}
	}
	m.view.reverse = false
}

// defaultSort is what an operator looks for first.
func (v *topView) defaultSort() int {
	if v.families {
		return slices.Index(v.columns(), "RATE/s")
	}
	return slices.Index(v.columns(), "SLOT")
}

// choose shows the workers' rates of the family under the cursor.
func (m *topModel) choose() {
	if m.picture == nil || !m.view.families {
		return
	}
	if _, names := m.view.table(m.picture, m.width); m.cursor < len(names) {
		m.view = topView{family: names[m.cursor]}
		m.view.sort, m.cursor = slices.Index(m.view.columns(), "RATE/s"), 0
	}
}

// Styles only add to what the text says.
var (
	bold   = lipgloss.NewStyle().Bold(true)
	marked = lipgloss.NewStyle().Reverse(true)
	alarm  = lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
)

// View implements tea.Model.
func (m *topModel) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen, v.WindowTitle = true, "mpctl top"
	return v
}

// lines returns the lines of the screen.
func (m *topModel) lines() []string {
	title := "mpctl top"
	if m.picture != nil {
		title += " " + m.picture.Dir
	}
	state := "every " + m.every.String()
	if m.paused {
		state = "PAUSED"
	}
	if m.picture != nil {
		state = m.picture.Time.Local().Format(time.TimeOnly) + "  " + state
	}
	title = cut(printable(title), max(1, m.width-2-len(state)))
	out := []string{bold.Render(title) + strings.Repeat(" ", max(1, m.width-utf8.RuneCountInString(title)-len(state))) + state}
	keys := "tab metrics/workers  s sort  / filter  h help  q quit"
	switch {
	case m.help:
		var lines []string
		lines, keys = m.helpLines()
		return m.fill(append(out, lines...), keys)
	case m.err != nil:
		out = append(out, alarm.Render(cut(printable(m.err.Error()), m.width)))
	case m.picture == nil:
		return append(out, "reading the directory")
	}
	if m.picture != nil {
		out = append(out, m.pictureLines()...)
	}
	if m.typing {
		keys = "filter: " + m.view.filter + "_   enter: keep, esc: drop"
	}
	return m.fill(out, keys)
}

// fill returns a screen of these lines, with the keys in the last one.
func (m *topModel) fill(out []string, keys string) []string {
	for len(out) < m.height-1 {
		out = append(out, "")
	}
	return append(out[:max(1, min(len(out), m.height-1))], faint.Render(cut(printable(keys), m.width)))
}

func (m *topModel) pictureLines() (out []string) {
	summary := m.view.summary(m.picture, m.width)
	if !m.picture.Health.OK {
		summary[1] = alarm.Render(summary[1])
	}
	out = append(out, summary...)
	lines, names := m.view.table(m.picture, m.width)
	var chosen []string
	if m.view.family != "" {
		chosen = append(chosen, "rates of "+m.view.family)
	}
	if m.view.filter != "" {
		chosen = append(chosen, fmt.Sprintf("filter %q: %s", m.view.filter, plural(len(names), "row")))
	}
	out = append(out, cut(printable(strings.Join(chosen, ", ")), m.width))
	out = append(out, bold.Render(lines[0]))
	m.cursor = max(0, min(m.cursor, len(names)-1))
	room := max(1, m.height-len(out)-2)
	first := max(0, min(m.cursor-room/2, len(names)-room))
	for i, line := range lines[1:][first:min(first+room, len(names))] {
		switch {
		case first+i == m.cursor:
			line = marked.Render(line + strings.Repeat(" ", max(0, m.width-utf8.RuneCountInString(line))))
		case strings.Contains(line, " SILENT ") || strings.Contains(line, " STOPPED "):
			line = alarm.Render(line)
		}
		out = append(out, line)
	}
	return out
}

// helpLines returns the lines of the help that fit, and the keys that show others.
func (m *topModel) helpLines() (out []string, keys string) {
	all := strings.Split(topHelp, "\n")
	from, room := m.helpPart(0)
	for _, line := range all[from:min(from+room, len(all))] {
		out = append(out, cut(line, m.width))
	}
	if len(out) == len(all) {
		return out, "press any key"
	}
	return out, fmt.Sprintf("%d-%d of %d  arrows, page keys: scroll  any other: back", from+1, from+len(out), len(all))
}

// helpPart returns the first line of the help that is shown after scrolling, and how many fit.
func (m *topModel) helpPart(by int) (from, room int) {
	room = max(1, m.height-2)
	return max(0, min(m.helpFrom+by, strings.Count(topHelp, "\n")+1-room)), room
}

// helped obeys a key while the help is shown: one that scrolls, if not all of it fits, or any
// other, which leaves.
func (m *topModel) helped(key string) {
	var room int
	m.helpFrom, room = m.helpPart(0) // the screen may have been resized
	by, scrolls := map[string]int{
		"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -room, "pgdown": room, "space": room, "home": -1 << 30, "end": 1 << 30,
	}[key]
	m.help = scrolls && strings.Count(topHelp, "\n") >= room
	m.helpFrom, _ = m.helpPart(by)
}

const topHelp = `tab, w, f  workers or metrics    s  sort by the next column
enter      workers by a metric   S  sort by the one before
/          only rows with a text r  reverse the order
esc        no filter, no metric  +  look less often
p, space   pause                 -  look more often
arrows, page up, page down       q  leave

The column with * sorts the rows.

CHANGED    since a value was seen to change. SILENT: nothing
           changes, while other workers change something
STOPPED    by a signal or a debugger
SHARE      of what the workers count, averaged over metrics
CPU, RSS   of the process; 100% is one core
RATE/s     increments or observations a second
CHANGES/s  series in the workers' files that change; a look
           counts each of them once
BYTES      of the series in the workers' files
TREND      the rates at the last 12 looks, or as recorded;
           each row has its own scale`
