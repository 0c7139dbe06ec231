package glance

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/pyfiletest"
)

// python writes the files of a process of client_python.
func python(t *testing.T, dir string, pid int, requests, observed float64) {
	t.Helper()
	write := func(kind string, samples ...pyfiletest.Sample) {
		path := filepath.Join(dir, fmt.Sprintf("%s_%d.db", kind, pid))
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // the writer's file stays the same one
		require.NoError(t, err)
		defer f.Close()
		_, err = f.WriteAt(pyfiletest.Timed.Content(samples...), 0)
		require.NoError(t, err)
	}
	sample := func(name, labels string, v float64) pyfiletest.Sample {
		return pyfiletest.Sample{Key: fmt.Sprintf(`["%s", "%s", {%s}, "H."]`, name[:1], name, labels), Value: v}
	}
	write("counter", sample("r_total", `"path": "/a"`, requests), sample("r_total", `"path": "/b"`, 1))
	write("histogram", sample("s_sum", "", observed/2), sample("s_bucket", `"le": "1.0"`, observed), sample("s_bucket", `"le": "+Inf"`, 2))
	write("summary", sample("t_count", "", observed), sample("t_sum", "", 99))
	write("gauge_max", sample("g", "", requests))
}

// TestPythonWorkers: those of client_python have rates and shares as others do.
func TestPythonWorkers(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(10_000, 0)
	clock := func() time.Time { return now }
	a, err := aggregate.Open(dir, aggregate.Options{Now: clock})
	require.NoError(t, err)
	defer a.Close()
	w := New(a, Options{Now: clock})
	python(t, dir, 4711, 100, 10)
	python(t, dir, 4712, 100, 10)
	_, err = w.Look(t.Context())
	require.NoError(t, err)

	now = now.Add(10 * time.Second)
	python(t, dir, 4711, 130, 20)
	python(t, dir, 4712, 110, 20)
	p, err := w.Look(t.Context())
	require.NoError(t, err)
	require.Len(t, p.Workers, 2)
	require.Equal(t, "4711", p.Workers[0].ID)
	require.Equal(t, map[string]float64{"r": 3, "s": 1, "t": 1}, p.Workers[0].Rates)
	require.InDelta(t, (0.75+0.5+0.5)/3, *p.Workers[0].Share, 1e-9)
	require.InDelta(t, (0.25+0.5+0.5)/3, *p.Workers[1].Share, 1e-9)
	for i, want := range []float64{-1, 4, 2, 2} {
		f := &p.Families[i]
		require.Equal(t, []string{"g", "r", "s", "t"}[i], f.Name)
		require.Equal(t, 2, f.Processes)
		require.Positive(t, f.Bytes, f.Name)
		require.Nil(t, f.Changes, "nobody counts them")
		if want >= 0 {
			require.EqualValues(t, want, *f.Rate, f.Name)
		}
	}
	require.Equal(t, []float64{4}, p.Families[1].History)
}
