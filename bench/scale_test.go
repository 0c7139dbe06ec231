package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestScale measures the first two rungs of every ladder at a tiny size. It checks that
// each measure exists, survives the file, and is drawn.
func TestScale(t *testing.T) {
	o := options{tiny: true, dir: t.TempDir(), match: regexp.MustCompile(""), effort: effort{rounds: 1}}
	points := o.scale()
	require.Len(t, points, 2*len(ladders))
	for _, p := range points {
		want := []string{"warm_ns", "warm_ratio", "cold_ns", "cold_ratio", "text_bytes", "directory_bytes"}
		if p.ladder == "compacted" {
			want = append(want, "compact_ns", "compact_ratio")
		}
		for _, m := range want { // the heap of so few may be lost in what else the test allocates
			require.Positive(t, p.values[m], "%s %d %s", p.ladder, p.size, m)
		}
	}
	entries, err := os.ReadDir(o.dir)
	require.NoError(t, err)
	require.Empty(t, entries, "what a point makes goes with it")

	csv := filepath.Join(o.dir, "scale.csv")
	require.NoError(t, os.WriteFile(csv, []byte(formatPoints("a machine", points)), 0o644))
	require.NoError(t, drawAll(csv))
	for _, name := range []string{"scale.md", "scale-processes.svg", "scale-series.svg", "scale-files.svg", "scale-memory.svg"} {
		require.FileExists(t, filepath.Join(o.dir, name))
	}
}

// TestRatios: if four times the size costs twice as much, one more costs half.
func TestRatios(t *testing.T) {
	p := newPoint("series", 10, 40, []result{{Row: "warm", Unit: "ns", Ours: 84, Ratio: 2}, {Row: "heap", Unit: "B", Ours: 7}, {Row: "text", Unit: "B", Ours: -7}})
	require.Equal(t, point{"series", 40, map[string]float64{"warm_ns": 84, "warm_ratio": 0.5, "heap_bytes": 7}}, p)
}

var somePoints = []point{
	{"processes", 1, map[string]float64{"warm_ns": 300500, "warm_ratio": 1, "cold_ns": 3.25e6, "cold_ratio": 1, "text_bytes": 59693}},
	{"processes", 512, map[string]float64{"warm_ns": 7.646e6, "warm_ratio": 0.0457, "cold_ns": 5.57e8, "cold_ratio": 0.33, "text_bytes": 62589}},
	{"compacted", 10, map[string]float64{"compact_ns": 954761, "compact_ratio": 1}},
}

const somePointsText = `# a machine
ladder,size,warm_ns,warm_ratio,cold_ns,cold_ratio,compact_ns,compact_ratio,heap_bytes,text_bytes,directory_bytes
processes,1,300500,1,3250000,1,,,,59693,
processes,512,7646000,0.0457,557000000,0.33,,,,62589,
compacted,10,,,,,954761,1,,,
`

func TestPoints(t *testing.T) {
	require.Equal(t, somePointsText, formatPoints("a machine", somePoints))
	about, points, err := parsePoints(somePointsText)
	require.NoError(t, err)
	require.Equal(t, "a machine", about)
	require.Equal(t, somePoints, points)
}

func TestDamagedPoints(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{"# a", "a", `line 1: does not begin with "# "`},
		{"compact_ns", "compacts", "line 2: is not the header"},
		{"ladder", "\nladder", "line 2: is not the header"},
		{somePointsText[strings.Index(somePointsText, "processes"):], "", "line 3: there are no points"},
		{"1,300500", "1.5,300500", `line 3: size "1.5" is not a positive integer`},
		{",,,,62589", ",,,,62589,", "line 4: 12 fields instead of 11"},
		{"7646000", "7646us", `line 4: warm_ns "7646us" is not a positive number`},
		{"954761", "-954761", `line 5: compact_ns "-954761" is not a positive number`},
		{"954761", "NaN", `line 5: compact_ns "NaN" is not a positive number`},
		{"954761", "0", `line 5: compact_ns "0" is not a positive number`},
		{"compacted,10", "compact,10", `line 5: there is no ladder "compact"`},
	} {
		damaged := strings.Replace(somePointsText, test.old, test.new, 1)
		require.NotEqual(t, somePointsText, damaged)
		_, _, err := parsePoints(damaged)
		require.ErrorContains(t, err, test.want)
	}
	path := filepath.Join(t.TempDir(), "scale.csv")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(somePointsText, "954761", "x", 1)), 0o644))
	require.ErrorContains(t, drawAll(path), path+": line 5: ")
}

// TestPlots: every point is in the SVG and inside the axes. The SVG is well-formed and the
// same each time.
func TestPlots(t *testing.T) {
	plots := plotsOf(somePoints)
	require.Len(t, plots, 2, "nothing is drawn without points")
	svg := plots["processes"].svg()
	require.Equal(t, svg, plotsOf(somePoints)["processes"].svg())
	for _, title := range []string{"cold scrape, 1: 3.25 ms", "cold scrape, 512: 557 ms", "warm scrape, 1: 300 us", "warm scrape, 512: 7.65 ms"} {
		require.Contains(t, svg, "<title>"+title+"</title>")
	}
	for _, tick := range []string{">1<", ">10<", ">100<", ">1 ms<", ">10 ms<", ">100 ms<"} {
		require.Contains(t, svg, tick)
	}
	type circle struct {
		X     float64 `xml:"cx,attr"`
		Y     float64 `xml:"cy,attr"`
		Title string  `xml:"title"`
	}
	var parsed struct {
		Circles []circle `xml:"circle"`
	}
	require.NoError(t, xml.NewDecoder(strings.NewReader(svg)).Decode(&parsed))
	at := map[string]circle{}
	for _, c := range parsed.Circles {
		if c.Title != "" {
			require.True(t, c.X > plotLeft && c.X < plotRight && c.Y > plotTop && c.Y < plotBottom, c.Title)
			name, _, _ := strings.Cut(c.Title, ":")
			at[name] = c
		}
	}
	require.Len(t, at, 4)
	require.Equal(t, at["cold scrape, 512"].X, at["warm scrape, 512"].X)
	require.Less(t, at["cold scrape, 1"].X, at["cold scrape, 512"].X)
	require.Greater(t, at["warm scrape, 512"].Y, at["cold scrape, 512"].Y, "what costs more is higher")

	require.NoError(t, wellFormed(plots["files"].svg()))
}

func wellFormed(svg string) error {
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestPointsTable(t *testing.T) {
	table := pointsTable("a machine", somePoints)
	require.Contains(t, table, "\n| processes | warm | cold | text |\n|---:|---:|---:|---:|\n| 1 | 300 us, 1.00 | 3.25 ms, 1.00 | 59.7 kB |\n| 512 | 7.65 ms, 1/22 | 557 ms, 0.33 | 62.6 kB |\n")
	require.Contains(t, table, "\n| compacted | compact |\n|---:|---:|\n| 10 | 955 us, 1.00 |\n")
	require.NotContains(t, table, "## series")
}
