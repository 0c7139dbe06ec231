package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/glance"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// TestTopOnceJSON: what a script gets.
func TestTopOnceJSON(t *testing.T) {
	dir := t.TempDir()
	s, err := mpm.Create(dir, mpm.Options{Label: "web-1"})
	require.NoError(t, err)
	jobs, err := s.AddSchema(&metric.Schema{Name: "jobs", Help: "H.", Type: metric.Counter})
	require.NoError(t, err)
	one, err := s.AddSeries(jobs, nil, nil)
	require.NoError(t, err)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				atomic.AddUint64(&one.Words()[mpm.CellCounterInts], 1)
			}
		}
	}()
	defer func() { close(stop); <-done }()
	code, out := mpctl(t, "top", dir, "--once", "--json", "--interval", "200ms")
	require.Equal(t, exitOK, code, out)
	var p glance.Picture
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Len(t, p.Workers, 1)
	w := p.Workers[0]
	require.Equal(t, "web-1", w.ID)
	require.Equal(t, 0, *w.Slot)
	require.Equal(t, "live", w.State)
	require.EqualValues(t, 1, *w.Share)
	require.Positive(t, w.Rates["jobs"])
	require.Less(t, w.Unchanged, p.Seconds+0.2)
	require.Len(t, p.Families, 1)
	require.InDelta(t, w.Rates["jobs"], *p.Families[0].Rate, 1e-9)
	require.Positive(t, *p.Families[0].Changes)
	require.Positive(t, p.Families[0].Bytes)
	require.True(t, p.Health.OK)

	code, out = mpctl(t, "top", dir, "--record-dir", t.TempDir())
	require.Equal(t, exitError, code, out)
	require.Contains(t, out, "there is no recording")

	code, out = mpctl(t, "top", dir, "--interval", "20ms") // the output is no terminal
	require.Equal(t, exitOK, code, out)
	require.Regexp(t, `(?m)^1 worker: 1 live, 1 series, 1 family$`, out)
	require.Regexp(t, `(?m)^SLOT\* +PID PROCESS ID STATE`, out)
	require.Regexp(t, `(?m)^ +0 +\d+ web-1 +live `, out)
	require.Regexp(t, `(?m)^jobs +counter +- +1 `, out)
	for line := range strings.Lines(out) {
		require.LessOrEqual(t, utf8.RuneCountInString(line), helpWidth+1)
	}
}

// picture is one of 30 workers and 40 families.
func somePicture() *glance.Picture {
	p := &glance.Picture{Time: time.Unix(1, 0), Seconds: 2, Dir: "/dev/shm/app", Series: 1234567}
	for i := range 30 {
		share, cpu, rss, age := float64(i)/435, float64(i)/10, 1e6*float64(i+1), 3600.0
		p.Workers = append(p.Workers, glance.Worker{
			Slot: &i, PID: 4000 + i, ID: fmt.Sprintf("web-with-a-long-name-%d", i), State: "live", Kind: "native", Age: &age,
			Unchanged: float64(i), Share: &share, CPU: &cpu, RSS: &rss, Series: 1500, Bytes: 1 << 20,
			Rates: map[string]float64{"requests_39": float64(30 - i)}, History: []float64{0, 1, 2, 3},
		})
	}
	p.Workers[7].Silent, p.Health.Silent = true, []string{p.Workers[7].ID}
	for i := range 40 {
		rate := float64(i)
		p.Families = append(p.Families, glance.Family{
			Name: fmt.Sprintf("requests_%d", i), Type: "counter", Series: i, Bytes: 1e6, Rate: &rate, Changes: &rate, History: []float64{1},
		})
	}
	return p
}

func press(m *topModel, keys ...string) {
	for _, k := range keys {
		key := tea.KeyPressMsg{Text: k, Code: []rune(k)[0]}
		switch k {
		case "tab":
			key = tea.KeyPressMsg{Code: tea.KeyTab}
		case "enter":
			key = tea.KeyPressMsg{Code: tea.KeyEnter}
		case "esc":
			key = tea.KeyPressMsg{Code: tea.KeyEscape}
		case "down":
			key = tea.KeyPressMsg{Code: tea.KeyDown}
		case "end":
			key = tea.KeyPressMsg{Code: tea.KeyEnd}
		case "backspace":
			key = tea.KeyPressMsg{Code: tea.KeyBackspace}
		case "space":
			key = tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
		}
		m.Update(key)
	}
}

// screen returns the lines of the screen without styles.
func screen(m *topModel) []string {
	out := m.lines()
	for i, line := range out {
		for {
			from := strings.Index(line, "\x1b[")
			if from < 0 {
				break
			}
			to := strings.IndexByte(line[from:], 'm')
			line = line[:from] + line[from+to+1:]
		}
		out[i] = strings.TrimRight(line, " ")
	}
	return out
}

func TestTopKeys(t *testing.T) {
	m := newTopModel(t.Context(), nil, 2*time.Second, topView{})
	require.Contains(t, strings.Join(screen(m), "\n"), "reading the directory")
	m.Update(looked{picture: somePicture()})
	at := func(line int) string { return screen(m)[line] }
	require.Contains(t, at(2), "silent, while others change: web-with-a-long-name-7")
	require.Regexp(t, `^SLOT\* +PID PROCESS ID +STATE +AGE CHANGED SHARE`, at(4))
	require.Regexp(t, `^ +0 4000 web`, at(5))
	require.Contains(t, strings.Join(screen(m), "\n"), " SILENT ")

	press(m, "s", "s", "s", "s", "s", "s") // SHARE
	require.Contains(t, at(4), "SHARE*")
	require.Regexp(t, `^ +29 4029`, at(5))
	press(m, "r")
	require.Regexp(t, `^ +0 4000`, at(5))

	press(m, "/", "4", "0", "1", "x", "backspace")
	require.Contains(t, at(len(screen(m))-1), "filter: 401_")
	press(m, "enter")
	require.Contains(t, at(3), `filter "401": 10 rows`)
	require.Regexp(t, `^ +10 4010`, at(5))
	press(m, "esc")
	require.Empty(t, at(3))

	press(m, "tab")
	require.Regexp(t, `^FAMILY +TYPE +MODE +SERIES BYTES RATE/s\* CHANGES/s`, at(4))
	require.Regexp(t, `^requests_39 +counter`, at(5))
	press(m, "enter")
	require.Contains(t, at(3), "rates of requests_39")
	require.Contains(t, at(4), "RATE/s*")
	require.Regexp(t, `^ +0 4000`, at(5), "the worker with the highest rate of it")

	press(m, "w", "end")
	require.Regexp(t, `^ +29 4029`, at(len(screen(m))-2), "scrolled to the end")
	press(m, "down")
	require.Regexp(t, `^ +29 4029`, at(len(screen(m))-2))

	press(m, "p")
	require.Contains(t, at(0), "PAUSED")
	m.Update(looked{picture: &glance.Picture{}})
	require.Len(t, m.picture.Workers, 30, "a paused screen stays")
	press(m, "space", "h")
	require.Contains(t, strings.Join(screen(m), "\n"), "sort by the next column")
	press(m, "x")
	require.NotContains(t, strings.Join(screen(m), "\n"), "sort by the next column")
	_, cmd := m.Update(tea.KeyPressMsg{Text: "q", Code: 'q'})
	require.IsType(t, tea.QuitMsg{}, cmd())
}

// TestTopFits: no line is wider than the terminal, and the screen is not longer.
func TestTopFits(t *testing.T) {
	m := newTopModel(t.Context(), nil, time.Second, topView{})
	m.Update(looked{picture: somePicture()})
	for _, width := range []int{20, 40, 60, 80, 200} {
		for _, height := range []int{1, 3, 6, 24, 60} {
			m.Update(tea.WindowSizeMsg{Width: width, Height: height})
			for range 2 {
				press(m, "tab", "enter")
				for range len(workerColumns) {
					press(m, "s")
					require.LessOrEqual(t, len(screen(m)), max(2, height))
					for _, line := range screen(m) {
						require.LessOrEqual(t, utf8.RuneCountInString(line), max(width, 26), "%d %q", width, line)
					}
				}
				press(m, "h")
				require.LessOrEqual(t, len(screen(m)), max(2, height))
				press(m, "x")
			}
		}
	}
	m.Update(tea.WindowSizeMsg{Width: 60, Height: 24})
	require.Regexp(t, `^SLOT\* +PID PROCESS ID +STATE +AGE CHANGED SHARE +CPU +RSS`, func() string { press(m, "w"); return screen(m)[4] }())
}

// TestTopHelpIsReadable: on a terminal of any usual size each line of the help can be seen whole.
func TestTopHelpIsReadable(t *testing.T) {
	help := strings.Split(topHelp, "\n")
	for _, width := range []int{60, 80, 200} {
		for height := 12; height <= len(help)+3; height++ {
			m := newTopModel(t.Context(), nil, time.Second, topView{})
			m.Update(tea.WindowSizeMsg{Width: width, Height: height})
			press(m, "h")
			shown, fits := map[string]bool{}, height >= len(help)+2
			for range help {
				lines := screen(m)
				require.Len(t, lines, height)
				for _, line := range lines {
					shown[line] = true
				}
				if fits {
					break
				}
				press(m, "down")
				require.True(t, m.help)
			}
			for _, line := range help {
				require.True(t, shown[line], "%dx%d: %s", width, height, line)
			}
			press(m, "end", "end")
			require.Equal(t, !fits, m.help, "a key that scrolls leaves if there is nothing to scroll")
			if m.help {
				require.Equal(t, help[len(help)-1], screen(m)[height-2])
				m.Update(tea.WindowSizeMsg{Width: width, Height: height + 1})
				require.Equal(t, help[len(help)-1], screen(m)[height-1])
				press(m, "k")
				require.Equal(t, max(0, len(help)-height), m.helpFrom)
				press(m, "x")
			}
			require.False(t, m.help)
		}
	}
}

func TestSparkline(t *testing.T) {
	require.Equal(t, "▁▅█", sparkline([]float64{9, 0, 1, 2}, 3))
	require.Equal(t, "█ ▅", sparkline([]float64{2, math.NaN(), 1}, 3))
	require.Equal(t, "a~", cut("abc", 2))
}
