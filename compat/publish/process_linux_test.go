package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/publish"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// TestFourProcesses: counters, histograms and the livesum of gauges over four
// workers that publish client_golang's default registry, and what each way to end
// loses.
func TestFourProcesses(t *testing.T) {
	dir := t.TempDir()
	gather := view(t, dir)
	var workers []*worker
	for i := range 4 {
		w := startWorker(t, dir, "asked")
		for range i + 1 {
			w.do("job")
		}
		w.do("publish")
		workers = append(workers, w)
	}
	now := gather()
	require.Equal(t, 10.0, one(t, now["library_jobs_total"]))
	require.Equal(t, 10.0, one(t, now["library_sizes"]))
	require.Equal(t, 10.0, one(t, now["library_queued"]), "the sum, without a label pid")
	require.Equal(t, 10.0, one(t, now["migrated_total"]), "its instrument's, and nobody else's")
	require.Equal(t, 1.0, one(t, now["go_info"]))
	require.GreaterOrEqual(t, one(t, now["go_goroutines"]), 4.0)
	require.Len(t, now["go_gc_gogc_percent"], 4, "a series for each process")
	require.Len(t, now["process_open_fds"], 4, "of the view, which reads /proc")
	require.Len(t, now["process_start_time_seconds"], 4, "of the view")
	require.Len(t, now["multiprom_publish_timestamp_seconds"], 4)
	for _, m := range now["multiprom_publish_timestamp_seconds"] {
		require.InDelta(t, time.Now().Unix(), m.Gauge.GetValue(), 60)
	}
	require.Zero(t, one(t, now["multiprom_publish_failures_total"]))
	for name := range now {
		require.False(t, strings.HasPrefix(name, "process_network"), name)
	}
	require.Equal(t, "go_goroutines library_jobs", workers[0].do("serve"))
	allocated := one(t, now["go_memstats_alloc_bytes_total"])
	require.Positive(t, allocated)

	// One more job of each, which nobody has published.
	for _, w := range workers {
		w.do("job")
	}
	workers[3].kill()
	now = gather()
	require.Equal(t, 10.0, one(t, now["library_jobs_total"]), "what was published stays")
	require.Equal(t, 14.0, one(t, now["migrated_total"]), "an instrument loses nothing")
	require.Equal(t, 6.0, one(t, now["library_queued"]), "of the living")
	require.GreaterOrEqual(t, one(t, now["go_memstats_alloc_bytes_total"]), allocated, "it does not fall")
	workers[2].exit()
	require.Equal(t, 10.0, one(t, gather()["library_jobs_total"]))
	workers[1].do("close")
	now = gather()
	require.Equal(t, 11.0, one(t, now["library_jobs_total"]), "Close publishes")
	require.Equal(t, 11.0, one(t, now["library_sizes"]))
	require.Equal(t, 1.0, one(t, now["library_queued"]))
	require.Len(t, now["multiprom_publish_timestamp_seconds"], 1)
}

// TestProcessFamilies: published where the program wants them.
func TestProcessFamilies(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: t.TempDir()})
	p, err := publish.Start(prometheus.DefaultGatherer, publish.Options{Set: set, Mode: func(f *metric.Family) (metric.Mode, bool) {
		mode, wanted := publish.ByName(f)
		return mode, wanted || strings.HasPrefix(f.Name, "process_")
	}})
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Publish(t.Context()))
	families := gather(t, set)
	for _, name := range []string{"process_open_fds", "process_cpu_seconds", "process_start_time_seconds", "go_goroutines"} {
		require.Len(t, families[name].Series, 1, name)
		require.Empty(t, families[name].Series[0].Labels, name)
		require.Positive(t, families[name].Series[0].Value, name)
	}
}

// TestPeriod: nobody asks the worker.
func TestPeriod(t *testing.T) {
	dir := t.TempDir()
	gather := view(t, dir)
	w := startWorker(t, dir, "period")
	for i := range 3 {
		w.do("job")
		require.Eventually(t, func() bool {
			jobs := gather()["library_jobs_total"]
			return len(jobs) == 1 && one(t, jobs) == float64(i+1)
		}, 30*time.Second, time.Millisecond)
	}
	w.kill()
	require.Equal(t, 3.0, one(t, gather()["library_jobs_total"]))
}

// TestWithoutADirectory: this process alone, and no family twice.
func TestWithoutADirectory(t *testing.T) {
	w := startWorker(t, "", "asked")
	w.do("job", "publish")
	require.Equal(t, "go_goroutines library_jobs", w.do("serve"))
}
