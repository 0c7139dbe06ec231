package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestChange: as many series change as the row says, at the position that it says.
func TestChange(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	defer b.close()
	d := b.newScraped(shape{Workers: 3, Counters: 40, Histograms: 10})
	s := newScraper(d.handler, acceptText, "")
	counters := func() (lines []string) {
		for line := range strings.Lines(string(s.scrape())) {
			if strings.HasPrefix(line, "requests_total{") {
				lines = append(lines, line)
			}
		}
		require.Len(t, lines, 40)
		return lines
	}
	for _, test := range []struct {
		share     float64
		scattered bool
		want      []int
	}{
		{0, true, nil},
		{0.1, true, []int{0, 10, 20, 30}},
		{0.1, false, []int{0, 1, 2, 3}},
	} {
		before := counters()
		d.change(test.share, test.scattered)
		var changed []int
		for i, line := range counters() {
			if line != before[i] {
				changed = append(changed, i)
			}
		}
		require.Equal(t, test.want, changed)
	}
}

// TestLines: the floor writes the same text as the exposition.
func TestLines(t *testing.T) {
	text := "# HELP a A.\n# TYPE a counter\na{l=\"x y\"} 12\na{l=\"\"} 0.5\n# HELP b B.\n# TYPE b gauge\nb -3\n"
	l := cutLines([]byte(text))
	require.Equal(t, 3, l.count())
	l.write()
	require.Equal(t, text, string(l.buf))
}
