package publish

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/metric"
)

// TestRuntimePerProcess: workers that make the one call of the doc comment. Each
// has its gauges in the merged view until it dies; what was counted stays, also
// when it is compacted.
func TestRuntimePerProcess(t *testing.T) {
	dir := t.TempDir()
	g := view(t, dir)
	var workers []*worker
	var want []string
	for range 3 {
		w := startWorker(t, dir, "runtime")
		workers, want = append(workers, w), append(want, w.pid())
	}
	slices.Sort(want)
	before := gatherFrom(t, g)
	for _, name := range []string{"go_goroutines", "go_memstats_alloc_bytes", "go_memstats_alloc_bytes_total", "multiprom_publish_timestamp_seconds"} {
		typ := metric.Gauge
		if strings.HasSuffix(name, "_total") {
			typ = metric.Unknown // a counter that cannot be one, beside go_memstats_alloc_bytes
		}
		require.Equal(t, typ, before[name].Type)
		require.Equal(t, want, pids(before[name]), name)
		for _, s := range before[name].Series {
			require.Positive(t, s.Value, name)
		}
	}
	require.Equal(t, want, pids(before["process_open_fds"]), "read from /proc, and not published beside it")
	require.Len(t, before["go"].Series, 1)
	require.InDelta(t, time.Now().Unix(), before["multiprom_publish_timestamp_seconds"].Series[0].Value, 60)

	mallocs := before["go_memstats_mallocs"]
	require.Equal(t, metric.Counter, mallocs.Type)
	require.Len(t, mallocs.Series, 1)
	require.Positive(t, mallocs.Series[0].Value)
	require.Equal(t, "done <nil>", workers[0].do("publish"))
	published := gatherFrom(t, g)["go_memstats_mallocs"].Series[0].Value
	require.Greater(t, published, mallocs.Series[0].Value)
	require.Less(t, published, 2*mallocs.Series[0].Value, "not counted twice")

	dead := workers[0].pid()
	workers[0].kill()
	want = slices.DeleteFunc(want, func(pid string) bool { return pid == dead })
	counters := func() []metric.Series {
		now := gatherFrom(t, g)
		require.Equal(t, want, pids(now["go_goroutines"]))
		return append(slices.Clone(now["go_memstats_mallocs"].Series), now["go_gc_duration_seconds"].Series...)
	}
	killed := counters()
	require.Equal(t, published, killed[0].Value, "a killed worker loses nothing that it had published")
	result, err := aggregate.Compact(context.Background(), dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	require.Len(t, result.Compacted, 1)
	require.Equal(t, killed, counters())
}

// TestCollectorsOfWorkers: a collector that panics and one that hangs cost
// nobody else's families, and Close publishes once more.
func TestCollectorsOfWorkers(t *testing.T) {
	dir := t.TempDir()
	g := view(t, dir)
	a, b := startWorker(t, dir, "collectors"), startWorker(t, dir, "collectors")
	families := gatherFrom(t, g)
	require.Equal(t, 20.0, families["jobs"].Series[0].Value, "one publication of each")
	require.Len(t, families["go_goroutines"].Series, 2)
	require.Len(t, families["process_open_fds"].Series, 2, "of the view alone, by PerProcess")
	require.Equal(t, 2.0, families["multiprom_publish_failures"].Series[0].Value)

	answer := a.do("publish")
	require.Contains(t, answer, "a bug")
	require.Contains(t, answer, "still busy", "it is not started again")
	require.Equal(t, 30.0, gatherFrom(t, g)["jobs"].Series[0].Value)
	require.Contains(t, b.do("close"), "done")
	families = gatherFrom(t, g)
	require.Equal(t, 40.0, families["jobs"].Series[0].Value)
	require.Equal(t, []string{a.pid()}, pids(families["go_goroutines"]), "closed is dead")
}

// TestPeriod: a worker publishes by itself while readers merge; the counter
// never falls, whatever dies.
func TestPeriod(t *testing.T) {
	dir := t.TempDir()
	g := view(t, dir)
	workers := []*worker{startWorker(t, dir, "period"), startWorker(t, dir, "period")}
	last, killed := 0.0, false
	for deadline := time.Now().Add(time.Minute); last <= 600; {
		require.True(t, time.Now().Before(deadline), "%v jobs", last)
		v := gatherFrom(t, g)["jobs"].Series[0].Value
		require.GreaterOrEqual(t, v, last)
		last = v
		if v > 200 && !killed {
			killed = true
			workers[0].kill()
		}
	}
}
