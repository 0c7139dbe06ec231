package aggregate

import (
	"sync"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// selfMetrics returns what the merge says of itself: the table in doc.go.
func (a *Aggregator) selfMetrics(started time.Time) []*metric.Family {
	files, processes := map[string]int{}, map[string]int{string(NoStore): a.storeless()}
	counts := a.archive.Counts
	damaged, read := 0, len(a.archive.series)
	for _, f := range a.fileStatus() {
		files[string(f.State)]++
	}
	for _, f := range a.files {
		if f.known && f.python == nil {
			processes[string(f.state())]++
		}
		for i, n := range f.counters {
			counts[i] += n
		}
		damaged += f.damaged
		read += f.size()
	}
	for _, p := range pythonProcesses(a.files) {
		processes[string(p.State)]++
	}
	count := func(which mmapstore.Counter) float64 {
		for i, c := range mmapstore.HeaderCounters {
			if c == which {
				return float64(counts[i])
			}
		}
		return 0
	}
	one := func(name string, t metric.Type, v float64, help string) *metric.Family {
		return &metric.Family{Name: "multiprom_" + name, Type: t, Help: help, Series: []metric.Series{{Value: v}}}
	}
	return []*metric.Family{
		one("archive_bytes", metric.Gauge, float64(a.archive.Bytes), "Size of the archive of folded processes."),
		one("damaged_records", metric.Gauge, float64(damaged), "Records of readable files that are left out because they are damaged."),
		one("discarded_calls", metric.Counter, count(mmapstore.DiscardedCalls), "Lookups with wrong labels, whose updates went nowhere."),
		one("fallback_series", metric.Counter, count(mmapstore.FallbackSeries), "Series that no scrape sees, because their file could not grow."),
		{Name: "multiprom_files", Type: metric.Gauge, Series: byState(fileStates, files, fileStateLabels()),
			Help: "Files in the directory by what became of them, the archive included."},
		one("fold_seconds", metric.Counter, a.archive.FoldTime.Seconds(), "Time that folding took."),
		one("folded_processes", metric.Counter, float64(a.archive.Folded), "Dead processes whose values are in the archive."),
		one("folds", metric.Counter, float64(a.archive.Folds), "How often dead processes were folded into the archive."),
		one("invalid_updates", metric.Counter, count(mmapstore.InvalidUpdates), "Updates and exemplars that were dropped because they were invalid."),
		one("merge_conflicts", metric.Counter, float64(a.table.conflicts),
			"Series that were left out because another definition of their name is served."),
		one("overflow_series", metric.Counter, count(mmapstore.OverflowSeries),
			"New label sets that went to an overflow series, since their family has reached its limit."),
		{Name: "multiprom_processes", Type: metric.Gauge, Series: byState(processStates, processes, processStateLabels()),
			Help: "Processes with a readable file, and workers without one, by state."},
		one("read_series", metric.Gauge, float64(read), "Series of the files and the archive that this scrape has merged."),
		one("scrape_duration_seconds", metric.Gauge, time.Since(started).Seconds(), "Time that reading and merging took for this scrape."),
	}
}

// byState returns a series for every state, those without any included.
func byState[S ~string](states []S, counts map[string]int, labels []metric.Labels) []metric.Series {
	out := make([]metric.Series, len(states))
	for i, s := range states {
		out[i].Labels, out[i].Value = labels[i], float64(counts[string(s)])
	}
	return out
}

// Labels are shared by all scrapes.
var (
	fileStateLabels    = sync.OnceValue(func() []metric.Labels { return stateLabels(fileStates) })
	processStateLabels = sync.OnceValue(func() []metric.Labels { return stateLabels(processStates) })
)

func stateLabels[S ~string](states []S) (out []metric.Labels) {
	for _, s := range states {
		out = append(out, metric.MakeLabels("state", string(s)))
	}
	return out
}
