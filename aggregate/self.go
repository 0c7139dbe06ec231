package aggregate

import "github.com/multiprom/multiprom/metric"

// selfMetrics returns what the merge says of itself: the table in doc.go.
func (a *Aggregator) selfMetrics() []*metric.Family {
	files, processes := map[string]int{}, map[string]int{}
	var counters [len(headerCounters)]uint64
	damaged := 0
	for _, f := range a.files {
		files[string(stateOf(f.err))]++
		if f.reader != nil {
			processes[string(f.state())]++
		}
		for i, n := range f.counters {
			counters[i] += n
		}
		damaged += f.damaged
	}
	one := func(v float64) []metric.Series { return []metric.Series{{Value: v}} }
	return []*metric.Family{
		{Name: "multiprom_damaged_records", Type: metric.Gauge, Series: one(float64(damaged)),
			Help: "Records of readable files that are left out because they are damaged."},
		{Name: "multiprom_discarded_calls", Type: metric.Counter, Series: one(float64(counters[3])),
			Help: "Lookups with wrong labels, whose updates went nowhere."},
		{Name: "multiprom_fallback_series", Type: metric.Gauge, Series: one(float64(counters[2])),
			Help: "Series that no scrape sees, because their file could not grow."},
		{Name: "multiprom_files", Type: metric.Gauge, Series: byState(fileStates, files),
			Help: "Files in the directory by what became of them."},
		{Name: "multiprom_invalid_updates", Type: metric.Counter, Series: one(float64(counters[0])),
			Help: "Updates that were dropped because their value was invalid."},
		{Name: "multiprom_merge_conflicts", Type: metric.Counter, Series: one(float64(a.table.conflicts)),
			Help: "Series that were left out because another definition of their name is served."},
		{Name: "multiprom_overflow_series", Type: metric.Counter, Series: one(float64(counters[1])),
			Help: "New label sets that went to an overflow series, since their family has reached its limit."},
		{Name: "multiprom_processes", Type: metric.Gauge, Series: byState(processStates, processes),
			Help: "Processes with a readable file, by state."},
	}
}

// byState returns a series for every state, those without any included.
func byState[S ~string](states []S, counts map[string]int) []metric.Series {
	var out []metric.Series
	for _, s := range states {
		out = append(out, metric.Series{Labels: metric.MakeLabels("state", string(s)), Value: float64(counts[string(s)])})
	}
	return out
}
