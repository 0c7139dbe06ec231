package aggregate

import (
	"slices"
	"sync"
	"time"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// selfMetrics returns what the merge says of itself: the table in doc.go. Families and series
// are in order.
func (a *Aggregator) selfMetrics(started time.Time) []*metric.Family {
	files, processes := make([]float64, len(fileStates)), make([]float64, len(sortedStates))
	state := func(s State) *float64 { return &processes[slices.Index(sortedStates, s)] }
	*state(NoStore) = float64(a.storeless())
	counts := a.snapshot.Archive.Counts
	damaged, unsettled, read := 0, 0, a.snapshot.Archive.Size()
	for _, f := range a.snapshot.Files {
		files[slices.Index(fileStates, stateOf(f.Err))]++
		if f.Known && f.Python == nil {
			*state(stateOfProcess(f))++
		}
		for i, n := range f.Counters {
			counts[i] += n
		}
		damaged += f.Damaged
		unsettled += f.Unsettled
		read += f.Size()
	}
	files[slices.Index(fileStates, inspect.Consumed)] += float64(len(a.snapshot.Restored))
	if there, damage := a.archiveStatus(); there {
		files[slices.Index(fileStates, stateOf(damage))]++
	}
	for _, p := range pythonProcesses(a.snapshot.Files) {
		*state(p.State)++
	}
	count := func(which mpm.Counter) float64 {
		for i, c := range mpm.HeaderCounters {
			if c == which {
				return float64(counts[i])
			}
		}
		return 0
	}
	one := func(name string, t metric.Type, v float64, help string) *metric.Family {
		return &metric.Family{Name: name, Type: t, Help: help, Series: []metric.Series{{Value: v}}}
	}
	return []*metric.Family{
		one("multiprom_archive_bytes", metric.Gauge, float64(a.snapshot.Archive.Bytes), "Size of the archive of compacted processes."),
		one("multiprom_compacted_processes", metric.Counter, float64(a.snapshot.Archive.Compacted), "Dead processes whose values are in the archive."),
		one("multiprom_compaction_seconds", metric.Counter, a.snapshot.Archive.CompactTime.Seconds(), "Time that compacting took."),
		one("multiprom_compactions", metric.Counter, float64(a.snapshot.Archive.Compactions), "How often dead processes were compacted into the archive."),
		one("multiprom_damaged_records", metric.Gauge, float64(damaged), "Records of readable files that are left out because they are damaged."),
		one("multiprom_discarded_calls", metric.Counter, count(mpm.DiscardedCalls), "Lookups with wrong labels, whose updates went nowhere."),
		one("multiprom_expired_series", metric.Counter, count(mpm.ExpiredSeries), "Series that have expired, a time to live after the last update."),
		one("multiprom_fallback_series", metric.Counter, count(mpm.FallbackSeries), "Series that no scrape sees, because their file could not grow."),
		{Name: "multiprom_files", Type: metric.Gauge, Series: byState(fileStateLabels(), files),
			Help: "Files in the directory by what became of them, the archive included."},
		one("multiprom_hidden_series", metric.Gauge, float64(a.table.Hidden()), "Series that are not shown, because they were idle for their time to live."),
		one("multiprom_invalid_updates", metric.Counter, count(mpm.InvalidUpdates), "Updates and exemplars that were dropped because they were invalid."),
		one("multiprom_merge_conflicts", metric.Counter, float64(a.table.LeftOut()),
			"Series that were left out because another schema of their name is served."),
		one("multiprom_overflow_series", metric.Counter, count(mpm.OverflowSeries),
			"New label sets that went to an overflow series, since their family has reached its limit."),
		{Name: "multiprom_processes", Type: metric.Gauge, Series: byState(processStateLabels(), processes),
			Help: "Processes with a readable file, and workers without one, by state."},
		{Name: "multiprom_process_unchanged_seconds", Type: metric.Gauge, Series: a.unchanged(a.opts.Now()),
			Help: "Time since a value of a living process was last seen to change, those of the go_ and process_ families apart, by slot."},
		one("multiprom_read_series", metric.Gauge, float64(read), "Series of the files and the archive that this scrape has merged."),
		one("multiprom_reused_series", metric.Counter, count(mpm.ReusedSeries), "New series that have space in a file which others have left."),
		one("multiprom_revived_series", metric.Counter, count(mpm.RevivedSeries), "Series that an update or a lookup has brought back after their time to live."),
		one("multiprom_scrape_duration_seconds", metric.Gauge, time.Since(started).Seconds(), "Time that reading and merging took for this scrape."),
		one("multiprom_unsettled_blocks", metric.Gauge, float64(unsettled),
			"Blocks of files that changed too fast for this scrape: what was known of their series is shown."),
	}
}

// byState returns a series for every state, also for those that count nothing.
func byState(labels []metric.Labels, counts []float64) []metric.Series {
	out := make([]metric.Series, len(labels))
	for i := range out {
		out[i].Labels, out[i].Value = labels[i], counts[i]
	}
	return out
}

// States are in the order in which they are shown. Labels are shared by all scrapes.
var (
	fileStates   = slices.Sorted(slices.Values(inspect.FileStates))
	sortedStates = slices.Sorted(slices.Values(processStates))

	fileStateLabels    = sync.OnceValue(func() []metric.Labels { return stateLabels(fileStates) })
	processStateLabels = sync.OnceValue(func() []metric.Labels { return stateLabels(sortedStates) })
)

func stateLabels[S ~string](states []S) (out []metric.Labels) {
	for _, s := range states {
		out = append(out, metric.MakeLabels("state", string(s)))
	}
	return out
}
