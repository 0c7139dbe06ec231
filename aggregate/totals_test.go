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
		inspect.Look(t.Context(), a, func(s inspect.Sight, err error) {
			require.NoError(t, err)
			sums := map[string]float64{}
			for _, p := range s.Processes {
				for _, total := range p.Totals {
					sums[total.Family] += total.Counted
					require.Positive(t, total.Bytes, "%s %s", name, total.Family)
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

// requireSameSight: what an aggregator has followed from reading to reading is what another one
// counts that has just been opened.
func requireSameSight(t *testing.T, cold, warm *Aggregator) {
	t.Helper()
	sight := func(a *Aggregator) (totals map[string][]inspect.Total, schemas []inspect.Family) {
		totals = map[string][]inspect.Total{}
		inspect.Look(t.Context(), a, func(s inspect.Sight, err error) {
			require.NoError(t, err)
			schemas = s.Schemas
			for _, p := range s.Processes {
				totals[p.Key] = p.Totals
			}
		})
		return totals, schemas
	}
	wantTotals, wantSchemas := sight(cold)
	totals, schemas := sight(warm)
	require.Equal(t, wantTotals, totals)
	require.Equal(t, wantSchemas, schemas)
}
