package aggregate

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// TestPlanRecomputes: if a process ends, is compacted or removes a series, only the families
// in which it had a part are added up again. A new part is added to totals that hold.
func TestPlanRecomputes(t *testing.T) {
	const wrong = 1000 // in the totals of a family, until that is added up again
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	alive := newProcess(t, dir, "alive", 1)
	alive.count(counter("other"), 0)
	alive.count(counter("c", "l"), 1, "a")
	alive.count(counter("c", "l"), 2, "b")
	look := func(want map[string]float64) {
		t.Helper()
		want["other_total"] = wrong
		require.Equal(t, want, flatten(show(t, a)))
		if flatten(show(t, a))[`c_total{l="a"}`] == 1 {
			a.table.Falsify("c", 0, wrong)
		}
	}
	a1, b2 := `c_total{l="a"}`, `c_total{l="b"}`
	show(t, a)
	a.table.Falsify("other", 0, wrong)
	a.table.Falsify("c", 0, wrong)
	require.Equal(t, map[string]float64{"other_total": wrong, a1: 1 + wrong, b2: 2}, flatten(show(t, a)))

	come := func(label string, n uint64) (path string) {
		p := newProcess(t, elsewhere, label, 2)
		p.count(counter("c", "l"), n, "b")
		return die(t, p.Store, dir)
	}
	path := come("gone", 10)
	look(map[string]float64{a1: 1 + wrong, b2: 12})
	require.NoError(t, os.Remove(path))
	look(map[string]float64{a1: 1, b2: 2})

	come("compacted", 20)
	look(map[string]float64{a1: 1 + wrong, b2: 22})
	require.Len(t, compactDir(t, dir).Compacted, 1)
	look(map[string]float64{a1: 1, b2: 22})
	come("compacted too", 30)
	require.Len(t, compactDir(t, dir).Compacted, 1) // nobody has seen it
	look(map[string]float64{a1: 1, b2: 52})
	require.NoError(t, os.Remove(filepath.Join(dir, mpm.ArchiveName)))
	look(map[string]float64{a1: 1, b2: 2})

	newer := newProcess(t, dir, "newer", 3)
	removed := newer.count(counter("c", "l"), 3, "removed")
	look(map[string]float64{a1: 1 + wrong, b2: 2, `c_total{l="removed"}`: 3})
	removed.Remove()
	look(map[string]float64{a1: 1, b2: 2})
	newer.count(counter("c", "l"), 4, "d")
	look(map[string]float64{a1: 1 + wrong, b2: 2, `c_total{l="d"}`: 4})
}

// TestCompactedUnseen: a process that came and was compacted between two scrapes changes its
// series, and says so.
func TestCompactedUnseen(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	newProcess(t, dir, "alive", 1).count(counter("c"), 1)
	w := &watched{seen: map[uint64]shownBefore{}}
	look := func(want float64) {
		t.Helper()
		views.Show(context.Background(), a, func(families []views.Family, err error) {
			require.NoError(t, err)
			require.Equal(t, map[string]float64{"c_total": want}, flatten(views.Whole(families)))
			w.look(t, families)
		})
	}
	look(1)
	p := newProcess(t, elsewhere, "unseen", 2)
	p.count(counter("c"), 5)
	die(t, p.Store, dir)
	require.Len(t, compactDir(t, dir).Compacted, 1)
	look(6)
	require.NoError(t, os.Remove(filepath.Join(dir, mpm.ArchiveName)))
	look(1)
}

// TestSumWithoutArchive: a sum that takes three floats is added up again when a part goes and
// two floats may hold the rest.
func TestSumWithoutArchive(t *testing.T) {
	const tiny = 1e-30 // what is between two floats is rounded up where there is more
	dir, elsewhere := t.TempDir(), t.TempDir()
	schema := &metric.Schema{Name: "s", Help: "S.", Type: metric.Summary}
	observe := func(dir, label string, v float64) *process {
		p := newProcess(t, dir, label, 1)
		p.add(schema).Words()[mpm.CellSummarySum] = math.Float64bits(v)
		return p
	}
	die(t, observe(elsewhere, "archived", -tiny).Store, dir)
	require.Len(t, compactDir(t, dir).Compacted, 1)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	for i, v := range []float64{tiny, 1, 1 << 53} {
		observe(dir, strconv.Itoa(i), v)
		show(t, a)
	}
	require.EqualValues(t, int64(1<<53), flatten(show(t, a))["s_sum"])
	require.NoError(t, os.Remove(filepath.Join(dir, mpm.ArchiveName)))
	require.EqualValues(t, int64(1<<53+2), flatten(show(t, a))["s_sum"])
}

// TestNamesBetweenMerges: a call of Processes between two merges changes no process label.
func TestNamesBetweenMerges(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	older := newProcess(t, elsewhere, "w", 1)
	setGauge(older.add(gauge("g", metric.ModeAll)), 1)
	die(t, older.Store, dir)
	require.Equal(t, map[string]float64{`g{pid="w"}`: 1}, flatten(show(t, a)))

	newer := newProcess(t, elsewhere, "w", 2)
	setGauge(newer.add(gauge("g", metric.ModeAll)), 2)
	path := die(t, newer.Store, dir)
	processes, err := a.Processes()
	require.NoError(t, err)
	require.Len(t, processes, 2)
	require.NoError(t, os.Remove(path))
	require.Equal(t, map[string]float64{`g{pid="w"}`: 1}, flatten(show(t, a)))
}

// TestSymbolsAreRenewed: symbols of series that are gone do not stay for ever, whether they were
// merged or left out.
func TestSymbolsAreRenewed(t *testing.T) {
	for _, tc := range []struct {
		schema *metric.Schema
		shown  int
	}{
		{counter("c", "l"), 1001},
		{&metric.Schema{Name: "c", Help: "H.", Type: metric.Summary, Labels: []string{"l"}}, 1},
	} {
		dir, elsewhere := t.TempDir(), t.TempDir()
		a := openDir(t, dir, Options{NoSelfMetrics: true})
		newProcess(t, dir, "alive", 1).count(counter("c", "l"), 1, "stays")
		for round := range 10 {
			p := newProcess(t, elsewhere, "w", 2)
			f, err := p.AddSchema(tc.schema)
			require.NoError(t, err)
			for i := range 1000 {
				_, err := p.AddSeries(f, []string{strconv.Itoa(1000*round + i)}, nil)
				require.NoError(t, err)
			}
			path := die(t, p.Store, dir)
			require.Len(t, gather(t, a), tc.shown)
			require.NoError(t, os.Remove(path))
			require.Equal(t, map[string]float64{`c_total{l="stays"}`: 1}, gather(t, a))
			require.Less(t, a.snapshot.Symbols.Len(), 4000)
		}
	}
}

// comeAndGo has a process with 1,000 series of its own die in dir, and its file go.
func comeAndGo(t *testing.T, dir string, round int, look func()) {
	p := newProcess(t, t.TempDir(), "w", 2)
	f, err := p.AddSchema(counter("c", "l"))
	require.NoError(t, err)
	for i := range 1000 {
		_, err := p.AddSeries(f, []string{strconv.Itoa(1000*round + i)}, nil)
		require.NoError(t, err)
	}
	path := die(t, p.Store, dir)
	look()
	require.NoError(t, os.Remove(path))
	look()
}

// TestSymbolsOfCutFile: a file that can no longer be read, and had one more series before,
// does not keep symbols from being renewed.
func TestSymbolsOfCutFile(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	cut := newProcess(t, dir, "cut", 1)
	cut.count(counter("c", "l"), 1, "stays")
	gather(t, a)
	info, err := os.Stat(cut.Path())
	require.NoError(t, err)
	cut.count(counter("c", "l"), 1, "unread")
	require.NoError(t, os.Truncate(cut.Path(), info.Size()-4096))
	for round := range 10 {
		comeAndGo(t, dir, round, func() { gather(t, a) })
		require.Less(t, a.snapshot.Symbols.Len(), 4000)
	}
	require.Equal(t, map[string]float64{`c_total{l="stays"}`: 1}, gather(t, a))
	require.ErrorIs(t, a.snapshot.Files[0].Err, mpm.ErrCorrupt)
}

// TestSymbolsAfterThePeak: after a peak, symbols are dropped again.
func TestSymbolsAfterThePeak(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	p := newProcess(t, t.TempDir(), "peak", 1)
	f, err := p.AddSchema(counter("c", "l"))
	require.NoError(t, err)
	for i := range 50_000 {
		_, err := p.AddSeries(f, []string{"peak" + strconv.Itoa(i)}, nil)
		require.NoError(t, err)
	}
	path := die(t, p.Store, dir)
	gather(t, a)
	comeAndGo(t, dir, -1, func() { gather(t, a) })
	require.NoError(t, os.Remove(path))
	for round := range 60 {
		comeAndGo(t, dir, round, func() { gather(t, a) })
	}
	require.Less(t, a.snapshot.Symbols.Len(), 4000)
}

// TestSymbolsOfProcesses: if a program only calls Processes, symbols of processes that are gone
// are dropped too.
func TestSymbolsOfProcesses(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	for round := range 10 {
		comeAndGo(t, dir, round, func() {
			_, err := a.Processes()
			require.NoError(t, err)
		})
		require.Less(t, a.snapshot.Symbols.Len(), 4000)
	}
}

// TestBoundsAfterAPanic: after a scrape that panicked, buckets go to their right places.
func TestBoundsAfterAPanic(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	broken := false
	a := openDir(t, dir, Options{NoSelfMetrics: true, Now: func() time.Time {
		if broken {
			panic("the clock is broken")
		}
		return time.Unix(1, 0)
	}})
	p := newProcess(t, elsewhere, "x", 1)
	p.add(histogramSchema("h", 1)).Words()[mpm.CellHistogramBuckets+1] = 3
	die(t, p.Store, dir)
	compactDir(t, dir)
	q := newProcess(t, elsewhere, "y", 2)
	q.add(histogramSchema("h", 0.5, 1)).Words()[mpm.CellHistogramBuckets] = 3
	path := die(t, q.Store, dir)
	show(t, a)
	broken = true
	require.Panics(t, func() { show(t, a) })
	broken = false
	require.NoError(t, os.Remove(path))
	want := map[string]float64{`h_bucket{le="1"}`: 0, `h_bucket{le="+Inf"}`: 3, "h_count": 3, "h_sum": 0}
	require.Equal(t, want, flatten(show(t, a)))
}

// TestSymbolsOfTheArchive: symbols go with series of the archive, even if no file has gone.
func TestSymbolsOfTheArchive(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	a.table.RenewMin = 1
	newProcess(t, dir, "alive", 1).count(counter("c", "l"), 1, "stays")
	for round := range 20 {
		p := newProcess(t, t.TempDir(), strconv.Itoa(round), int64(2+round))
		f, err := p.AddSchema(gauge("g", metric.ModeAll, "l"))
		require.NoError(t, err)
		for i := range 50 {
			_, err = p.AddSeries(f, []string{strconv.Itoa(i)}, nil)
			require.NoError(t, err)
		}
		die(t, p.Store, dir)
		_, err = Compact(t.Context(), dir, CompactOptions{KeepDead: 1})
		require.NoError(t, err)
		require.Len(t, gather(t, a), 51)
	}
	require.LessOrEqual(t, a.snapshot.Symbols.Len(), 200)
}

// TestModeOfATypeWithoutModes: the mode of an archived summary or counter means nothing.
func TestModeOfATypeWithoutModes(t *testing.T) {
	dir := t.TempDir()
	d, err := mpm.OpenDir(dir)
	require.NoError(t, err)
	defer d.Close()
	f := mpm.StoredFamily{Schema: &metric.Schema{Name: "x", Help: "h", Type: metric.Summary, Mode: metric.ModeSum}}
	f.Series.Add(mpm.StoredSeries{Process: -1, Words: []uint64{2}})
	arc := &mpm.Archive{ArchiveVersion: mpm.ArchiveVersion{Generation: 1}, Families: []mpm.StoredFamily{f}}
	require.NoError(t, d.StageArchive(arc, mpm.ReadOptions{}))
	require.NoError(t, d.CommitArchive())
	require.NotPanics(t, func() { gather(t, openDir(t, dir, Options{NoSelfMetrics: true})) })

	elsewhere := t.TempDir()
	p := newProcess(t, elsewhere, "w", 1)
	p.count(&metric.Schema{Name: "c", Help: "H.", Type: metric.Counter, Mode: metric.ModeLiveSum}, 5)
	other := t.TempDir()
	die(t, p.Store, other)
	require.Equal(t, map[string]float64{"c_total": 5}, gather(t, openDir(t, other, Options{NoSelfMetrics: true})))
	compactDir(t, other)
	require.Equal(t, map[string]float64{"c_total": 5}, gather(t, openDir(t, other, Options{NoSelfMetrics: true})))
}
