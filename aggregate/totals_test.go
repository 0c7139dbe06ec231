package aggregate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// TestTotalsOfPythonFiles: on the directories of the conformance pack, what the processes have
// counted by themselves adds up to what the merged view says.
func TestTotalsOfPythonFiles(t *testing.T) {
	packs, err := filepath.Glob("../integration/testdata/client_python/*/in")
	require.NoError(t, err)
	require.NotEmpty(t, packs)
	compared := 0
	for _, pack := range packs {
		name := filepath.Base(filepath.Dir(pack))
		if strings.HasPrefix(name, "bad_") || strings.Contains(name, "mismatch") {
			continue // parts are left out
		}
		dir := t.TempDir()
		require.NoError(t, os.CopyFS(dir, os.DirFS(pack)))
		a, err := Open(dir, Options{NoSelfMetrics: true})
		require.NoError(t, err)
		defer a.Close()
		inspect.Look(t.Context(), a, inspect.LookOptions{Schemas: true, Bytes: true}, func(s inspect.Sight, err error) {
			require.NoError(t, err)
			sums := map[string]float64{}
			for _, p := range s.Processes {
				for family, total := range p.Totals {
					sums[family] += total.Counted
					require.Positive(t, total.Bytes, "%s %s", name, family)
				}
			}
			for _, f := range views.Whole(s.Families) {
				want := 0.0
				for _, one := range f.Series {
					switch v := one.Value; {
					case f.Type != metric.Counter:
						want += float64(one.Count)
					case v-v == 0:
						want += v
					}
				}
				if f.Type == metric.Gauge {
					want = 0
				}
				require.InDelta(t, want, sums[f.Name], 1e-6, "%s %s", name, f.Name)
				compared++
			}
		})
	}
	require.Greater(t, compared, 20)
}
