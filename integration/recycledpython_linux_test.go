package integration

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// recyclePython runs short-lived workers of client_python and returns their directory. Each
// worker has one file of every kind. Their parent has files for its metrics without labels,
// which are all kinds but two.
func recyclePython(t testing.TB, workers int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command(python, "testdata/python/recycle.py", strconv.Itoa(workers))
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	kinds, err := strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	require.Equal(t, kinds*workers+kinds-2, dbFiles(t, dir))
	return dir
}

// clientPython returns the version of client_python: Debian's, unless PYTHONPATH names
// another.
func clientPython(t testing.TB) string {
	t.Helper()
	out, err := exec.Command(python, "-c", `from importlib.metadata import version; print(version("prometheus_client"))`).Output()
	require.NoError(t, err)
	return "client_python " + strings.TrimSpace(string(out))
}

// collectPython returns the output of client_python's collector.
func collectPython(t testing.TB, dir string) []byte {
	t.Helper()
	cmd := exec.Command(python, "testdata/python/collect.py")
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
	out, err := cmd.Output()
	require.NoError(t, err)
	return out
}

func gcPython(t testing.TB, dir string) {
	t.Helper()
	out, err := exec.Command(mpctl(t), "gc", "--python", "--dir", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// dbFiles returns the number of client_python's files.
func dbFiles(t testing.TB, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	require.NoError(t, err)
	return len(files)
}

// split separates gauges of mode all and live gauges from the samples of recycle.py.
func split(samples map[string]float64) (all, others map[string]float64) {
	all, others = map[string]float64{}, map[string]float64{}
	for series, v := range samples {
		switch {
		case strings.HasPrefix(series, "rp_all{"):
			all[series] = v
		case !strings.HasPrefix(series, "rp_live"):
			others[series] = v
		}
	}
	return all, others
}

// TestRecycledPythonWorkers: all files of client_python's dead workers are compacted, and
// the totals stay those that client_python showed before. Live gauges disappear with their
// processes. Of gauges of mode all, the newest dead processes keep theirs.
// MULTIPROM_RECYCLED_PYTHON is the number of workers.
func TestRecycledPythonWorkers(t *testing.T) {
	const keptDead = 1000 // the default of --keep-dead
	needPython(t)
	workers := intFromEnv("MULTIPROM_RECYCLED_PYTHON", 40)
	dir := recyclePython(t, workers)
	files := dbFiles(t, dir)
	warm, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	t.Cleanup(func() { warm.Close() })
	before := samples(t, warm)
	require.Equal(t, valuesOf(t, collectPython(t, dir)), valuesOf(t, serve(t, warm)))
	require.EqualValues(t, workers*101, before[`rp_requests_total{path="/path/101"}`])
	require.EqualValues(t, workers*(workers-1)/2, before["rp_bytes_sum"])

	gcPython(t, dir)
	require.Zero(t, dbFiles(t, dir))
	require.Empty(t, collectPython(t, dir), "only we know what was compacted")
	after := samples(t, warm)
	allBefore, want := split(before)
	allAfter, got := split(after)
	require.Equal(t, want, got)
	require.Subset(t, allBefore, allAfter)
	require.Len(t, allAfter, min(keptDead, workers+1))
	cold, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	t.Cleanup(func() { cold.Close() })
	require.Equal(t, after, samples(t, cold))
	t.Logf("%s: %d files of %d workers", clientPython(t), files, workers)
}

// valuesOf returns the samples of a text.
func valuesOf(t testing.TB, text []byte) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, s := range vector(t, text) {
		out[s.Metric.String()] = math.Round(float64(s.Value)*1e9) / 1e9
	}
	return out
}

// BenchmarkRecycledPython measures a directory of 26,000 files of recycled workers, with 11
// kinds of files before client_python 0.18 and 13 since: a scrape by client_python's
// collector and by multiprom, the compaction, and a scrape after it. ratio is the time of
// client_python's scrape divided by the time of each.
func BenchmarkRecycledPython(b *testing.B) {
	needPython(b)
	workers := 2364
	if dbFiles(b, recyclePython(b, 1)) > 2*11 {
		workers = 2000
	}
	dir := recyclePython(b, workers)
	fmt.Printf("%s: %d files of %d workers\n", clientPython(b), dbFiles(b, dir), workers)
	var theirs time.Duration
	measure := func(name string, scrape func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				scrape(b)
			}
			took := b.Elapsed() / time.Duration(b.N)
			if name == "before/client_python" {
				theirs = took
			}
			b.ReportMetric(float64(theirs)/float64(took), "ratio")
		})
	}
	warm, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(b, err)
	defer warm.Close()
	all := func(when string) {
		measure(when+"/client_python", func(b *testing.B) { collectPython(b, dir) })
		measure(when+"/cold", func(b *testing.B) {
			a, err := aggregate.Open(dir, aggregate.Options{})
			require.NoError(b, err)
			scrapeText(b, a, nil, 10_000)
			require.NoError(b, a.Close())
		})
		scrapeText(b, warm, nil, 10_000)
		measure(when+"/warm", func(b *testing.B) { scrapeText(b, warm, nil, 10_000) })
	}
	all("before")
	command := mpctl(b)
	began := time.Now()
	out, err := exec.Command(command, "gc", "--python", "--dir", dir).CombinedOutput()
	took := time.Since(began)
	require.NoError(b, err, "%s", out)
	b.Run("gc", func(b *testing.B) { // it can run only once
		b.ReportMetric(float64(took), "ns/op")
	})
	require.Zero(b, dbFiles(b, dir))
	all("after")
}
