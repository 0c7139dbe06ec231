package aggregate

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/metric"
)

// TestConflictsAreNamed: of every kind of conflict both schemas are named, with who
// has them: living processes, dead ones, the archive, client_python. The log is told
// once of each.
func TestConflictsAreNamed(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	old := newProcess(t, elsewhere, "old", 1)
	old.count(counter("jobs", "queue"), 7, "mail")
	old.add(gauge("depth", metric.ModeMax))
	old.add(gauge("gone_live", metric.ModeLiveSum)) // only its schema stays in the archive
	die(t, old.Store, dir)
	compactDir(t, dir)
	first := newProcess(t, dir, "first", 10)
	first.add(&metric.Schema{Name: "phase", Help: "P.", Type: metric.StateSet, States: []string{"a", "b"}})
	first.add(&metric.Schema{Name: "took", Help: "T.", Type: metric.Summary})
	first.add(gauge("depth", metric.ModeMax))
	first.add(gauge("jobs", metric.ModeLiveSum, "tenant"), "x")
	first.count(counter("gone_live"), 1)
	first.count(counter("fine"), 1)
	second := newProcess(t, dir, "second", 11)
	second.add(&metric.Schema{Name: "phase", Help: "P.", Type: metric.StateSet, States: []string{"a", "c"}})
	second.add(gauge("took_count", metric.ModeSum))
	second.add(histogramSchema("depth", 1, 2))
	second.count(counter("fine"), 1)
	f, err := second.AddSchema(gauge("fine", metric.ModeAll)) // declared, without a series
	require.NoError(t, err)
	require.NotNil(t, f)

	var log bytes.Buffer
	a := openDir(t, dir, Options{NoSelfMetrics: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	conflicts, err := inspect.Conflicts(context.Background(), a)
	require.NoError(t, err)
	var got []string
	for _, c := range conflicts {
		for _, d := range []*inspect.Schema{&c.Served, &c.Left} {
			for i := range d.Owners {
				if f := &d.Owners[i].File; *f != mpm.ArchiveName {
					*f = filepath.Ext(*f) // without pid and incarnation
				}
			}
		}
		got = append(got, c.String())
	}
	require.Equal(t, []string{
		"histogram depth with 3 buckets, 1 series in .mpm (second, live), is left out: " +
			"gauge depth of mode max in .mpm (first, live), archive.mpm is served instead of it",
		"counter jobs with labels queue, 1 series in archive.mpm, is left out: " +
			"gauge jobs of mode livesum with labels tenant in .mpm (first, live) is served instead of it",
		"stateset phase of mode all with states a, c, 1 series in .mpm (second, live), is left out: " +
			"stateset phase of mode all with states a, b in .mpm (first, live) is served instead of it",
		"gauge took_count of mode sum, 1 series in .mpm (second, live), is left out: " +
			"summary took in .mpm (first, live) is served under the name took_count",
	}, got)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 4, log.String())
	for _, want := range []string{"name=jobs", `served="gauge jobs of mode livesum with labels tenant"`, `left_out="counter jobs with labels queue"`, "left_out_of=archive.mpm", "series=1"} {
		require.Contains(t, lines[1], want)
	}

	// A family's own series and those of its rivals.
	families, err := inspect.Families(context.Background(), a)
	require.NoError(t, err)
	require.Equal(t, []string{"depth", "fine", "gone_live", "jobs", "phase", "took"}, namesOf(families))
	require.Equal(t, 2, families[0].Schema.Series())
	require.Equal(t, 1, families[0].Merged)
	require.Empty(t, families[1].Conflicts, "a schema without a series leaves nothing out")
	require.Equal(t, 2, families[1].Schema.Series())

	// Again nothing, until there is another one: of series that come to a file that is
	// known, of client_python, and of what was compacted.
	gather(t, a)
	require.Len(t, strings.Split(strings.TrimSpace(log.String()), "\n"), 4)
	_, err = second.AddSeries(f, nil, nil)
	require.NoError(t, err)
	gather(t, a)
	require.Equal(t, 5, strings.Count(log.String(), "\n"))
	require.Contains(t, log.String(), `left_out="gauge fine of mode all"`)
	content := pyfiletest.Timed.Content(pyfiletest.Sample{Key: `["jobs", "jobs", {"x": "y"}, "H."]`, Value: 1})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gauge_max_77.db"), content, 0o600))
	gather(t, a)
	require.Greater(t, strings.Count(log.String(), "\n"), 5)
	require.Contains(t, log.String(), "gauge_max_77.db (77, live)")
	require.Contains(t, log.String(), `"gauge jobs of mode max with labels x"`)
}

func namesOf(families []inspect.Family) (out []string) {
	for _, f := range families {
		out = append(out, f.Name)
	}
	return out
}

// TestConflictsAreAllThatIsLeftOut: whatever there is, a schema with series is
// either served or in exactly one conflict, and with it each of its owners.
func TestConflictsAreAllThatIsLeftOut(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	schemas := []*metric.Schema{
		counter("a"), gauge("a", metric.ModeMax), gauge("a", metric.ModeSum), histogramSchema("a", 1), gauge("a_count", metric.ModeMin), counter("a_count"),
		{Name: "a", Help: "A.", Type: metric.Summary}, gauge("a_sum", metric.ModeAll), {Name: "b", Help: "B.", Type: metric.Info}, gauge("b_info", metric.ModeMax),
	}
	warm := openDir(t, dir, Options{})
	for i := range 40 {
		where := elsewhere
		if i%3 == 0 {
			where = dir
		}
		p := newProcess(t, where, fmt.Sprint(i), int64(100-i))
		has := map[string]bool{}
		for j, s := range schemas {
			if (i+j*j)%4 == 0 && !has[s.Name] {
				p.add(s)
				has[s.Name] = true
			}
		}
		if i%3 != 0 {
			die(t, p.Store, dir)
		}
		if i%7 == 0 {
			compactDir(t, dir)
		}
		for _, a := range []*Aggregator{warm, openDir(t, dir, Options{})} {
			families, err := inspect.Families(context.Background(), a)
			require.NoError(t, err)
			counted, seen := 0, map[string]bool{}
			for _, f := range families {
				counted += f.Schema.Series()
				for _, c := range f.Conflicts {
					require.Equal(t, f.Schema, c.Served)
					require.NotZero(t, c.Left.Series())
					require.False(t, seen[c.Left.String()], c.Left.String())
					seen[c.Left.String()] = true
					counted += c.Left.Series()
				}
			}
			require.EqualValues(t, gather(t, a)["multiprom_read_series"], counted)
		}
	}
}
