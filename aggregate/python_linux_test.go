package aggregate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/internal/pyfiletest"
)

func pySample(family, sample, labels string, v, at float64) pyfiletest.Sample {
	return pyfiletest.Sample{Key: fmt.Sprintf(`["%s", "%s", {%s}, "H."]`, family, sample, labels), Value: v, Time: at}
}

func writePython(t testing.TB, dir, name string, samples ...pyfiletest.Sample) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), pyfiletest.Timed.Content(samples...), 0o600))
}

// pythonProcess writes the files of a process of client_python that has ended.
func pythonProcess(t testing.TB, dir, id string, n float64) {
	t.Helper()
	writePython(t, dir, "counter_"+id+".db", pySample("c_total", "c_total", `"l": "x"`, n+0.1, 0))
	writePython(t, dir, "histogram_"+id+".db", pySample("h", "h_sum", "", n, 0),
		pySample("h", "h_bucket", `"le": "1.0"`, n, 0), pySample("h", "h_bucket", `"le": "+Inf"`, 1, 0))
	for _, mode := range []string{"all", "liveall", "min", "max", "sum", "livesum", "mostrecent"} {
		writePython(t, dir, "gauge_"+mode+"_"+id+".db", pySample("g_"+mode, "g_"+mode, "", n, n))
	}
}

// holdPython has the file open for writing until the end of the test.
func holdPython(t testing.TB, dir, name string) (release func()) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	require.NoError(t, err)
	release = sync.OnceFunc(func() { f.Close() })
	t.Cleanup(release)
	return release
}

func compactPython(t testing.TB, dir string) *CompactResult {
	t.Helper()
	r, err := Compact(context.Background(), dir, CompactOptions{Python: true})
	require.NoError(t, err)
	return r
}

// TestCompactionPython: what dead processes of client_python have counted stays, for
// readers that know their files and for new ones; their live gauges go.
func TestCompactionPython(t *testing.T) {
	dir := t.TempDir()
	for i := 1; i <= 3; i++ {
		pythonProcess(t, dir, fmt.Sprint(i), float64(i))
	}
	native := newProcess(t, dir, "native", 1)
	native.count(counter("c", "l"), 1000, "x") // the same family
	for _, name := range names(t, dir) {
		if strings.HasSuffix(name, "_3.db") {
			holdPython(t, dir, name)
		}
	}
	warm := openDir(t, dir, Options{NoSelfMetrics: true})
	want := gather(t, warm)
	require.Equal(t, 1006.3, want[`c_total{l="x"}`])

	dry, err := Compact(context.Background(), dir, CompactOptions{Python: true, DryRun: true})
	require.NoError(t, err)
	require.Len(t, dry.Compacted, 2*9)
	require.Equal(t, want, gather(t, warm))
	unasked, err := Compact(context.Background(), dir, CompactOptions{})
	require.NoError(t, err)
	require.Empty(t, unasked.Compacted, "not unless asked")

	r := compactPython(t, dir)
	require.ElementsMatch(t, dry.Compacted, r.Compacted)
	require.Equal(t, 2, r.Processes)
	require.Equal(t, 2, r.Living, "the native one and 3")
	require.Empty(t, r.Left)
	require.Len(t, names(t, dir), 1+1+9, "the archive, the native one, 3")
	for _, id := range []string{"1", "2"} {
		delete(want, `g_liveall{pid="`+id+`"}`)
	}
	want["g_livesum"] = 3
	require.Equal(t, want, gather(t, warm))
	require.Equal(t, want, gather(t, openDir(t, dir, Options{NoSelfMetrics: true})))
	require.Empty(t, compactPython(t, dir).Compacted)

	// A process of an id that was compacted begins again, and has the label.
	pythonProcess(t, dir, "1", 50)
	later := time.Now().Add(time.Second) // the filesystem's clock ticks slowly
	require.NoError(t, os.Chtimes(filepath.Join(dir, "gauge_all_1.db"), later, later))
	got := gather(t, warm)
	require.Equal(t, 1056.4, got[`c_total{l="x"}`])
	require.Equal(t, 50.0, got[`g_all{pid="1"}`])
	require.Equal(t, 2.0, got[`g_all{pid="2"}`])
	compactPython(t, dir)
	after := gather(t, warm)
	require.Equal(t, 1056.4, after[`c_total{l="x"}`])
	require.Equal(t, 50.0, after[`g_all{pid="1"}`])
	require.Equal(t, 1.0, after["g_min"])
	require.Equal(t, 50.0, after["g_mostrecent"])
}

// TestPythonCompactorKilledAtEveryStep kills a compactor at each step beside readers,
// who must never see another sum.
func TestPythonCompactorKilledAtEveryStep(t *testing.T) {
	build := func(t *testing.T) (dir string, total float64) {
		dir = t.TempDir()
		for i := 1; i <= 3; i++ {
			writePython(t, dir, fmt.Sprintf("counter_%d.db", i), pySample("c_total", "c_total", "", float64(i), 0))
			total += float64(i)
		}
		writePython(t, dir, "counter_4.db", pySample("c_total", "c_total", "", 1000, 0))
		holdPython(t, dir, "counter_4.db")
		// One was set aside although its process lives.
		d, err := mpm.OpenDir(dir)
		require.NoError(t, err)
		defer d.Close()
		_, err = pyfile.SetAside(d, "counter_4.db")
		require.NoError(t, err)
		return dir, total + 1000
	}
	dir, _ := build(t)
	steps := runRole(t, "pythoncompactor", dir, 0)
	require.Equal(t, []string{
		"opened", "locked", "scanned", "renamed", "renamed", "renamed", "staged", "committed", "synced",
		"restored", "removing", "removing", "removing", "removed",
	}, steps)
	require.Equal(t, []string{"archive.mpm", "counter_4.db"}, names(t, dir))
	for step := range steps {
		t.Run(fmt.Sprintf("%d-%s", step+1, steps[step]), func(t *testing.T) {
			dir, total := build(t)
			warm := openDir(t, dir, Options{})
			stop := make(chan struct{})
			var readers sync.WaitGroup
			var differ []string
			readers.Go(func() {
				for {
					for _, a := range []*Aggregator{warm, newAggregator(dir, Options{})} {
						families, err := a.Gather(context.Background())
						if got := flatten(families)["c_total"]; (err != nil || got != total) && len(differ) < 10 {
							differ = append(differ, fmt.Sprintf("a scrape says %v, not %v: %v", got, total, err))
						}
						if a != warm {
							a.Close()
						}
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			})
			runRole(t, "pythoncompactor", dir, step+1)
			runRole(t, "pythoncompactor", dir, 0)
			close(stop)
			readers.Wait()
			require.Empty(t, differ)
			require.Equal(t, total, gather(t, warm)["c_total"])
			require.Equal(t, []string{"archive.mpm", "counter_4.db"}, names(t, dir))
		})
	}
}

// TestPythonFilesThatStay: what is damaged or foreign is neither compacted nor lost.
func TestPythonFilesThatStay(t *testing.T) {
	dir := t.TempDir()
	writePython(t, dir, "counter_1.db", pySample("c_total", "c_total", "", 1, 0), pyfiletest.Sample{Key: "[oops"})
	writePython(t, dir, "weird_1.db")
	r := compactPython(t, dir)
	require.Len(t, r.Left, 1)
	require.ErrorIs(t, r.Left[0].Reason, compact.ErrNotUnderstood)
	require.Equal(t, 1.0, gather(t, openDir(t, dir, Options{}))["c_total"])
	require.Empty(t, compactPython(t, dir).Compacted)
}

// TestPythonKeepsASeriesAlive: a series that a native process has removed stays
// while a process of client_python has it, whichever process compacts.
func TestPythonKeepsASeriesAlive(t *testing.T) {
	dir := t.TempDir()
	writePython(t, dir, "counter_1.db", pySample("c_total", "c_total", `"l": "x"`, 1, 0))
	release := holdPython(t, dir, "counter_1.db")
	p := newProcess(t, dir, "native", 1)
	p.count(counter("c", "l"), 10, "x").Remove()
	a := openDir(t, dir, Options{})
	require.Equal(t, 11.0, gather(t, a)[`c_total{l="x"}`])
	compactPython(t, dir)
	require.Equal(t, 11.0, gather(t, a)[`c_total{l="x"}`])
	release()
	require.Equal(t, 1, compactPython(t, dir).Processes)
}

// TestWipePython: a file that is open for writing refuses the wipe, a forced one
// leaves it alone.
func TestWipePython(t *testing.T) {
	dir := t.TempDir()
	pythonProcess(t, dir, "1", 1)
	writePython(t, dir, "counter_2.db", pySample("c_total", "c_total", "", 7, 0))
	release := holdPython(t, dir, "counter_2.db")
	_, err := Wipe(dir, false)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "counter_2.db")
	removed, err := Wipe(dir, true)
	require.NoError(t, err)
	require.Contains(t, removed, "counter_1.db")
	require.Equal(t, []string{"archive.mpm", "counter_2.db"}, names(t, dir))
	release()
	_, err = Wipe(dir, false)
	require.NoError(t, err)
	require.Equal(t, []string{"archive.mpm"}, names(t, dir))
}

// TestKeysOfFilesThatAreGone: a reader of a directory whose series change for
// ever does not remember all that there ever were.
func TestKeysOfFilesThatAreGone(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	for round := range 12 {
		var samples []pyfiletest.Sample
		for i := range snapshot.KeysKept {
			samples = append(samples, pySample("c_total", "c_total", fmt.Sprintf(`"l": "%d-%d"`, round, i), 1, 0))
		}
		writePython(t, dir, fmt.Sprintf("counter_%d.db", round), samples...)
		writePython(t, dir, fmt.Sprintf("gauge_all_%d.db", round), pySample("g", "g", "", 1, 0))
		writePython(t, dir, "counter_stays.db", pySample("c_total", "c_total", `"l": "stays"`, 1, 0))
		got := gather(t, a)
		require.Len(t, got, snapshot.KeysKept+2, "round %d", round)
		require.EqualValues(t, 1, got[`c_total{l="stays"}`])
		require.EqualValues(t, 1, got[fmt.Sprintf(`g{pid="%d"}`, round)])
		require.LessOrEqual(t, a.snapshot.Keys.Len(), 4*snapshot.KeysKept+10)
		require.LessOrEqual(t, a.snapshot.Symbols.Len(), 8*snapshot.KeysKept+10, "twice as many as when symbols were renewed last")
		for _, kind := range []string{"counter", "gauge_all"} {
			require.NoError(t, os.Remove(filepath.Join(dir, fmt.Sprintf("%s_%d.db", kind, round))))
		}
	}
}

// TestMoreFilesThanMappings: what cannot stay mapped is read all the same, and
// goes on growing.
func TestMoreFilesThanMappings(t *testing.T) {
	defer func(n int) { snapshot.MaxMapped = n }(snapshot.MaxMapped)
	snapshot.MaxMapped = 3
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	for i := 1; i <= 8; i++ {
		pythonProcess(t, dir, fmt.Sprint(i), float64(i))
	}
	want := gather(t, openDir(t, dir, Options{NoSelfMetrics: true}))
	require.Equal(t, 36.8, want[`c_total{l="x"}`])
	require.Equal(t, want, gather(t, a))
	require.Equal(t, want, gather(t, a))
	mapped := 0
	for _, f := range a.snapshot.Files {
		if f.Python.Mapped() {
			mapped++
		}
	}
	require.Equal(t, 3, mapped)

	snapshot.MaxMapped = 0
	writePython(t, dir, "counter_8.db", pySample("c_total", "c_total", `"l": "x"`, 100, 0), pySample("c_total", "c_total", `"l": "y"`, 1, 0))
	require.NoError(t, os.Remove(filepath.Join(dir, "counter_1.db")))
	got := gather(t, a)
	require.InDelta(t, 36.8-1.1-8.1+100, got[`c_total{l="x"}`], 1e-9)
	require.EqualValues(t, 1, got[`c_total{l="y"}`])
	require.Equal(t, want["h_count"], got["h_count"])
}

// TestCompactionPythonThreshold: files of the dead may wait until there are more of
// them, but their live gauges are shown until they are compacted.
func TestCompactionPythonThreshold(t *testing.T) {
	dir := t.TempDir()
	compact := func() int {
		r, err := Compact(context.Background(), dir, CompactOptions{Python: true, Threshold: 8})
		require.NoError(t, err)
		return len(r.Compacted)
	}
	writePython(t, dir, "counter_1.db", pySample("c_total", "c_total", "", 1, 0))
	writePython(t, dir, "gauge_max_1.db", pySample("g", "g", "", 1, 0))
	require.Zero(t, compact())
	writePython(t, dir, "gauge_livesum_1.db", pySample("l", "l", "", 1, 0))
	release := holdPython(t, dir, "gauge_livesum_1.db")
	require.Zero(t, compact())
	release()
	require.Equal(t, 3, compact())
}
