package aggregate

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/pyfiletest"
)

// pythonWorker is a process of client_python as the random test plays it.
type pythonWorker struct {
	id      string
	files   map[string][]pyfiletest.Sample // by kind
	stride  pyfiletest.Stride
	release []func()
}

// randomSample returns a record of that kind: of few families, so that their
// schemas differ and their series meet. With conflicts, one name may have
// several types.
func randomSample(kind string, conflicts bool) pyfiletest.Sample {
	family := []string{"a", "b", "c"}[rand.IntN(3)]
	if kind != "counter" && (!conflicts || rand.IntN(10) > 0) {
		family = kind + "_" + family
	}
	labels := fmt.Sprintf(`"l": "%d"`, rand.IntN(4))
	help := []string{"One.", "Two."}[rand.IntN(2)]
	values := []float64{1, 2.5, 0.1, 1e17, 7, 3, 0}
	if rand.IntN(30) == 0 {
		values = []float64{math.NaN(), math.Inf(1), -3, 0.4}
	}
	sample := family
	switch kind {
	case "counter":
		sample += "_total"
	case "summary":
		sample += []string{"_sum", "_count"}[rand.IntN(2)]
	case "histogram":
		sample += []string{"_sum", "_bucket"}[min(1, rand.IntN(5))]
		if sample == family+"_bucket" {
			labels += fmt.Sprintf(`, "le": "%s"`, []string{"0.5", "1.0", "2.0", "5.0", "+Inf"}[rand.IntN(5)])
		}
	}
	return pyfiletest.Sample{
		Key: fmt.Sprintf(`["%s", "%s", {%s}, "%s"]`, family, sample, labels, help), Value: values[rand.IntN(len(values))],
		Time: [...]float64{0, 1, rand.Float64() * 1e9, 1e12, 1e300}[rand.IntN(5)], // some of a clock that is fast
	}
}

var randomKinds = []string{"counter", "counter", "summary", "histogram", "histogram", "gauge_all", "gauge_liveall", "gauge_min", "gauge_livesum", "gauge_mostrecent"}

// write lets the worker write some records more, or change some.
func (w *pythonWorker) write(t *testing.T, dir string, conflicts bool) {
	kind := randomKinds[rand.IntN(len(randomKinds))]
	samples, known := w.files[kind]
	for range rand.IntN(6) {
		s := randomSample(kind, conflicts)
		samples = append(samples, s)
	}
	if len(samples) > 0 && rand.IntN(2) == 0 {
		samples[rand.IntN(len(samples))].Value += 3
	}
	w.files[kind] = samples
	path := filepath.Join(dir, kind+"_"+w.id+".db")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	_, err = f.WriteAt(w.stride.Content(samples...), 0)
	require.NoError(t, err)
	if known {
		require.NoError(t, f.Close())
		return
	}
	w.release = append(w.release, func() { f.Close() })
}

// TestRandomPythonDirectories: whatever happens in a directory, a reader that
// knows it from before sees what a new one sees; and what was counted stays when
// it is compacted. MULTIPROM_SCHEDULES is how many directories there are.
func TestRandomPythonDirectories(t *testing.T) {
	many := snapshot.MaxMapped
	defer func() { snapshot.MaxMapped = many }()
	rounds := 6
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		rounds = n
	}
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) { // each gives back its mappings
			snapshot.MaxMapped = []int{many, 3}[round%2]
			randomPythonDirectory(t, round%3 == 0)
		})
	}
}

// randomPythonDirectory lets things happen in one directory. With conflicts, a death may
// change which type is served.
func randomPythonDirectory(t *testing.T, conflicts bool) {
	dir := t.TempDir()
	warm := openDir(t, dir, Options{NoSelfMetrics: true})
	var workers []*pythonWorker
	started := 0
	var happened []string
	for range 40 {
		before := gather(t, openDir(t, dir, Options{NoSelfMetrics: true}))
		event := rand.IntN(10)
		if conflicts {
			event = rand.IntN(8)
		}
		switch {
		case event < 2 || len(workers) == 0:
			started++
			w := &pythonWorker{id: fmt.Sprint(started % 5), files: map[string][]pyfiletest.Sample{}, stride: pyfiletest.Timed}
			for _, other := range workers {
				if other.id == w.id {
					w = other // the pid is taken: it goes on
				}
			}
			if len(w.files) == 0 {
				w.id = fmt.Sprint(started)
				workers = append(workers, w)
			}
			w.write(t, dir, conflicts)
			happened = append(happened, "start "+w.id)
		case event < 7:
			w := workers[rand.IntN(len(workers))]
			w.write(t, dir, conflicts)
			happened = append(happened, "write "+w.id)
		case event < 8:
			i := rand.IntN(len(workers))
			for _, release := range workers[i].release {
				release()
			}
			happened = append(happened, "end "+workers[i].id)
			workers = append(workers[:i], workers[i+1:]...)
		default:
			r := compactPython(t, dir)
			happened = append(happened, fmt.Sprint("compact ", len(r.Compacted)))
			require.Empty(t, r.Left)
			after := gather(t, openDir(t, dir, Options{NoSelfMetrics: true}))
			requireSame(t, lasting(before), lasting(after), happened)
		}
		requireSame(t, gather(t, openDir(t, dir, Options{NoSelfMetrics: true})), gather(t, warm), happened)
	}
	for _, w := range workers {
		for _, release := range w.release {
			release()
		}
	}
}

// lasting leaves out the live gauges, and those of single processes.
func lasting(all map[string]float64) map[string]float64 {
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(series string, _ float64) bool {
		return len(series) > 10 && (series[:10] == "gauge_live" || series[:10] == "gauge_all_")
	})
	return out
}

// requireSame compares; a NaN is equal to a NaN.
func requireSame(t *testing.T, want, got map[string]float64, happened []string) {
	t.Helper()
	for series, v := range want {
		if math.IsNaN(v) && math.IsNaN(got[series]) {
			delete(got, series)
			delete(want, series)
		}
	}
	require.Equal(t, want, got, "%v", happened)
}
