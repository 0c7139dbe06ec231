package integration

import (
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

// recycledFiles returns how many files recycle.py leaves behind: of each worker one of
// every kind, and of their parent those of its metrics without labels.
func recycledFiles(workers int) int { return 11*workers + 9 }

// recyclePython lets workers of client_python live shortly and returns their directory.
func recyclePython(t testing.TB, workers int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command(python, "testdata/python/recycle.py", strconv.Itoa(workers))
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

// collectPython returns what client_python's collector says.
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

// dbFiles returns how many files of client_python there are.
func dbFiles(t testing.TB, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	require.NoError(t, err)
	return len(files)
}

// withoutLive leaves the live gauges out, which go with their processes.
func withoutLive(all map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for series, v := range all {
		if !strings.HasPrefix(series, "rp_live") {
			out[series] = v
		}
	}
	return out
}

// TestRecycledPythonWorkers: the files of client_python's dead workers are folded,
// all of them, and no total changes: before, Python says the same.
func TestRecycledPythonWorkers(t *testing.T) {
	needPython(t)
	workers := intFromEnv("MULTIPROM_RECYCLED_PYTHON", 40)
	dir := recyclePython(t, workers)
	require.Equal(t, recycledFiles(workers), dbFiles(t, dir))
	warm, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	t.Cleanup(func() { warm.Close() })
	before := samples(t, warm)
	require.Equal(t, valuesOf(t, collectPython(t, dir)), valuesOf(t, serve(t, warm)))
	require.EqualValues(t, workers*101, before[`rp_requests_total{path="/path/101"}`])
	require.EqualValues(t, workers*(workers-1)/2, before["rp_bytes_sum"])

	gcPython(t, dir)
	require.Zero(t, dbFiles(t, dir))
	want := withoutLive(before)
	require.Equal(t, want, samples(t, warm))
	cold, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	t.Cleanup(func() { cold.Close() })
	require.Equal(t, want, samples(t, cold))
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

// BenchmarkRecycledPython is a directory of 26,013 files of 2,364 workers: what a
// scrape of it takes for client_python's collector and for ours, the folding, and a
// scrape behind it, cold as the collector's is.
func BenchmarkRecycledPython(b *testing.B) {
	needPython(b)
	const workers = 2364
	dir := recyclePython(b, workers)
	require.Equal(b, recycledFiles(workers), dbFiles(b, dir))
	b.Run("before/client_python", func(b *testing.B) {
		for b.Loop() {
			require.NotEmpty(b, collectPython(b, dir))
		}
	})
	cold := func(b *testing.B) {
		for b.Loop() {
			a, err := aggregate.Open(dir, aggregate.Options{})
			require.NoError(b, err)
			scrapeText(b, a, nil, 10_000)
			require.NoError(b, a.Close())
		}
	}
	b.Run("before/cold", cold)
	b.Run("before/warm", func(b *testing.B) {
		a, err := aggregate.Open(dir, aggregate.Options{})
		require.NoError(b, err)
		defer a.Close()
		for b.Loop() {
			scrapeText(b, a, nil, 10_000)
		}
	})
	began := time.Now()
	gcPython(b, dir)
	took := time.Since(began)
	b.Run("gc", func(b *testing.B) { // it can be done once
		b.ReportMetric(float64(took.Nanoseconds()), "ns/op")
	})
	require.Zero(b, dbFiles(b, dir))
	b.Run("after/cold", cold)
}
