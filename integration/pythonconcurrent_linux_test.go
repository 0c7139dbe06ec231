package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// TestPythonWriterConcurrency: no update of threads, greenlets or asyncio's tasks is lost, whenever gevent
// replaces Python's locks.
func TestPythonWriterConcurrency(t *testing.T) {
	for _, how := range []string{"threads", "gevent", "gevent-later", "gevent-pool", "asyncio"} {
		t.Run(how, func(t *testing.T) {
			if strings.HasPrefix(how, "gevent") {
				needPython(t, "gevent")
				if otherPython != "" {
					t.Skip("gevent is that of Debian's Python")
				}
			}
			dir := t.TempDir()
			p := startHelper(t, nativePython(t, dir, "native_concurrent.py", how))
			p.expect(t, "ready")
			require.Len(t, native(t, dir), 1)
			a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
			require.NoError(t, err)
			defer a.Close()
			got := samples(t, a)
			const workers, rounds = 16, 300
			sum := 0.0
			for series, v := range got {
				if strings.HasPrefix(series, "many_total{") {
					require.NotContains(t, series, "gone")
					sum += v
				}
			}
			require.InDelta(t, workers*rounds, sum, 0)
			halves := 0.5 * workers * rounds
			if how == "gevent-later" {
				halves += 0.5
			}
			for series, want := range map[string]float64{
				"many_halves_total": halves, "many_open": 0, "many_published": 7,
				"many_seconds_count": workers * rounds, "many_seconds_sum": workers * rounds * 1.5,
				"many_size_count": workers * rounds, "many_size_sum": workers * rounds * 2,
			} {
				require.Contains(t, got, series)
				require.InDelta(t, want, got[series], 0, series)
			}
			p.kill()
			require.NotContains(t, samples(t, a), "many_open", "nothing keeps the lock of a killed process")
		})
	}
}
