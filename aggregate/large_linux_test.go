package aggregate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// nativeLimits are what the format of native files can hold, by what pyfiletest.Large
// makes large.
var nativeLimits = map[string]int{
	"buckets": form.MaxBounds, "buckets in all": form.MaxBounds, "labels": form.MaxLabels, "bytes of a name": form.MaxNameLen,
	"bytes of a label name": form.MaxNameLen, "bytes of a label value": mpm.MaxStringLen, "bytes of a help": form.MaxHelpLen,
}

// clientView is what client_python serves for these files: of counters, and of histograms
// whose series all have the same buckets.
func clientView(t *testing.T, files map[string][]pyfiletest.Sample) map[string]float64 {
	out, buckets := map[string]float64{}, map[string]map[float64]float64{}
	for _, samples := range files {
		for _, s := range samples {
			var key []any
			require.NoError(t, json.Unmarshal([]byte(s.Key), &key))
			labels := map[string]string{}
			for name, v := range key[2].(map[string]any) {
				labels[name] = v.(string)
			}
			le, isBucket := labels["le"]
			delete(labels, "le")
			name := key[1].(string) + metric.LabelsFromMap(labels).String()
			if !isBucket {
				out[name] += s.Value
				continue
			}
			bound, err := strconv.ParseFloat(le, 64)
			require.NoError(t, err)
			if buckets[key[0].(string)] == nil {
				buckets[key[0].(string)] = map[float64]float64{}
			}
			buckets[key[0].(string)][bound] += s.Value
		}
	}
	for family, counts := range buckets {
		var bounds []float64
		for b := range counts {
			bounds = append(bounds, b)
		}
		slices.Sort(bounds)
		total := 0.0
		for _, b := range bounds {
			total += counts[b]
			out[family+`_bucket{le="`+form.FormatFloat(b)+`"}`] = total
		}
		out[family+"_count"] = total
	}
	return out
}

// TestLargePythonFiles: what native files have bounds for, client_python's may have more
// of: around each former limit, all is served as client_python serves it, and is in the
// archive after compaction.
func TestLargePythonFiles(t *testing.T) {
	for what, limit := range nativeLimits {
		for _, n := range []int{limit - 1, limit, limit + 1, 10 * limit} {
			for _, native := range []bool{false, true} {
				t.Run(fmt.Sprint(n, " ", what, " ", native), func(t *testing.T) {
					dir := t.TempDir()
					files := pyfiletest.Large(what, n)
					for name, samples := range files {
						writePython(t, dir, name, samples...)
					}
					want := clientView(t, files)
					if native {
						joinNative(t, dir, what, want)
					}
					compactAll(t, dir, want)
				})
			}
		}
	}
}

// joinNative adds a dead native process that has the family too, as far as the format
// lets it, and what it counts to the view.
func joinNative(t *testing.T, dir, what string, want map[string]float64) {
	elsewhere := t.TempDir()
	p := newProcess(t, elsewhere, "native", 1)
	switch {
	case strings.HasPrefix(what, "buckets"):
		bounds := make([]float64, form.MaxBounds)
		for i := range bounds {
			bounds[i] = float64(i) // of those that client_python has, the first ones
		}
		s := p.add(histogramSchema("h", bounds...))
		s.Words()[mpm.CellHistogramBuckets] = 7 // at most 0
		for i := range bounds {
			name := `h_bucket{le="` + form.FormatFloat(bounds[i]) + `"}`
			if _, there := want[name]; !there {
				want[name] = want["h_count"]
			}
		}
		for name := range want {
			if name != "h_sum" {
				want[name] += 7
			}
		}
	case what == "bytes of a name":
		p.count(counter("c"), 3)
		want["c_total"] = 3
	default:
		p.count(counter("c", "l"), 3, "native")
		want[`c_total{l="native"}`] = 3
	}
	b, err := os.ReadFile(p.Path())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(p.Path())), b, 0o600)) // without a lock
}

// compactAll expects that view before and after compaction, and nothing but the archive
// after it.
func compactAll(t *testing.T, dir string, want map[string]float64) {
	warm := openDir(t, dir, Options{})
	before := gather(t, warm)
	for _, state := range []string{"corrupt", "foreign", "unreadable"} {
		require.Zero(t, before[`multiprom_files{state="`+state+`"}`])
	}
	require.Zero(t, before["multiprom_damaged_records"])
	require.Zero(t, before["multiprom_merge_conflicts_total"])
	for name := range before {
		if strings.HasPrefix(name, "multiprom_") {
			delete(before, name)
		}
	}
	require.True(t, sameValues(want, before), "client_python serves something else")
	cold := openDir(t, dir, Options{NoSelfMetrics: true})
	lines := view(t, cold)

	r := compactPython(t, dir)
	require.Empty(t, r.Left)
	require.Equal(t, []string{mpm.ArchiveName}, names(t, dir))
	require.True(t, slices.Equal(lines, view(t, cold)), "the view has changed")
	require.True(t, slices.Equal(lines, view(t, openDir(t, dir, Options{NoSelfMetrics: true}))), "for a new reader")
	require.Empty(t, compactPython(t, dir).Compacted)
}

func sameValues(a, b map[string]float64) bool {
	for name, v := range a {
		if w, there := b[name]; !there || v != w {
			return false
		}
	}
	return len(a) == len(b)
}

// TestPythonHistogramWithoutBucket: its sum is served, and stays.
func TestPythonHistogramWithoutBucket(t *testing.T) {
	dir := t.TempDir()
	writePython(t, dir, "histogram_1.db", pySample("h", "h_sum", "", 5, 0), pySample("g", "g_sum", "", 2, 0))
	writePython(t, dir, "histogram_2.db", pySample("h", "h_sum", "", 1, 0),
		pySample("g", "g_sum", "", 1, 0), pySample("g", "g_bucket", `"le": "1.0"`, 1, 0))
	compactAll(t, dir, map[string]float64{
		"h_sum": 6, "h_count": 0, `h_bucket{le="+Inf"}`: 0,
		"g_sum": 3, "g_count": 1, `g_bucket{le="1"}`: 1, `g_bucket{le="+Inf"}`: 1,
	})
}

// TestHistogramsThatShareNoBucket: where each series has buckets of its own, a family would
// take the square of its files: what there is no room for is left out and counted, and
// stays in its file.
func TestHistogramsThatShareNoBucket(t *testing.T) {
	const series = 10_000
	dir := t.TempDir()
	var samples []pyfiletest.Sample
	for i := range series {
		samples = append(samples, pySample("h", "h_bucket", fmt.Sprintf(`"l": "%d", "le": "%d.0"`, i, i), 1, 0))
	}
	writePython(t, dir, "histogram_1.db", samples...)
	info, err := os.Stat(filepath.Join(dir, "histogram_1.db"))
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a := openDir(t, dir, Options{})
	views.Show(t.Context(), a, func(_ []views.Family, err error) { require.NoError(t, err) })
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), 12*info.Size())
	require.Greater(t, a.table.LeftOut(), uint64(series/2))
	runtime.KeepAlive(a)

	r := compactPython(t, dir)
	require.Len(t, r.Left, 1)
	require.ErrorIs(t, r.Left[0].Reason, compact.ErrNotUnderstood)
	require.ErrorContains(t, r.Left[0].Reason, "10000 series of 10000 bounds")
}

// TestPythonBucketsInAnyOrder: bounds that come in no order are the same in the end.
func TestPythonBucketsInAnyOrder(t *testing.T) {
	dir := t.TempDir()
	samples := pyfiletest.Histogram("h", 0, 5000)
	rand.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	files := map[string][]pyfiletest.Sample{"histogram_1.db": samples, "histogram_2.db": samples[:2000]}
	for name, s := range files {
		writePython(t, dir, name, s...)
	}
	want := clientView(t, files)
	want["h_sum"] += 0 // it may be in the first file alone
	compactAll(t, dir, want)
}
