package aggregate_test

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// TestUnknownMergesAsGauge: a family of type unknown has in every mode what a gauge
// has, and keeps its type: of living processes, of dead ones, from the archive, and
// where the archive and a process have it.
func TestUnknownMergesAsGauge(t *testing.T) {
	dir := t.TempDir()
	write := func(label string, value float64) *mpm.Store {
		store, err := mpm.Create(dir, mpm.Options{Label: label})
		require.NoError(t, err)
		for mode := metric.Mode(0); mode.Valid(); mode++ {
			for _, typ := range []metric.Type{metric.Gauge, metric.Unknown} {
				f, err := store.AddSchema(&metric.Schema{
					Name: fmt.Sprintf("%s_%s", typ, mode), Help: "H.", Type: typ, Mode: mode, Labels: []string{"l"},
				})
				require.NoError(t, err)
				for _, l := range []string{label, "shared", "unset"} {
					series, err := store.AddSeries(f, []string{l}, nil)
					require.NoError(t, err)
					switch {
					case l == "unset":
					case mode.Base() == metric.ModeMostRecent:
						mpm.StoreRecent(series.Words(), math.Float64bits(value), int64(value))
					default:
						atomic.StoreUint64(&series.Words()[mpm.CellGauge], math.Float64bits(value))
					}
				}
			}
		}
		return store
	}
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	check := func(what string) {
		families, err := a.Gather(context.Background())
		require.NoError(t, err)
		byName := map[string]*metric.Family{}
		for _, f := range families {
			byName[f.Name] = f
		}
		gauges := 0
		for mode := metric.Mode(0); mode.Valid(); mode++ {
			gauge, unknown := byName["gauge_"+mode.String()], byName["unknown_"+mode.String()]
			if gauge == nil {
				require.Nil(t, unknown, "%s, %s", what, mode)
				continue
			}
			gauges++
			require.NotNil(t, unknown, "%s, %s", what, mode)
			require.Equal(t, metric.Unknown, unknown.Type)
			require.Equal(t, gauge.Series, unknown.Series, "%s, %s", what, mode)
		}
		require.Positive(t, gauges, what)
	}
	first, second := write("a", 3), write("b", 5)
	defer second.Close()
	check("living")
	require.NoError(t, first.Close())
	check("a dead one")
	_, err = aggregate.Compact(context.Background(), dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	check("archive and a living one")
	third := write("c", 4)
	check("three")
	require.NoError(t, third.Close())
	_, err = aggregate.Compact(context.Background(), dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	check("archived twice")
}
