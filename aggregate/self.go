package aggregate

import (
	"slices"
	"sync"
	"time"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// selfMetrics are what the merge says of itself: the table in doc.go. They are kept from
// scrape to scrape, so that a view has their layouts and revisions as it has those of merged
// families.
type selfMetrics struct {
	families []views.Family // in order
	shown    int            // of this scrape

	labels []metric.Labels // of multiprom_process_unchanged_seconds
	values []float64
}

// selfRows are the series of one family. A view reads them until it returns.
type selfRows struct {
	labels []metric.Labels
	values []float64
}

func (r *selfRows) Len() int { return len(r.values) }

func (r *selfRows) AppendLabels(dst metric.Labels, i int) metric.Labels {
	return append(dst, r.labels[i]...)
}

func (r *selfRows) Read(i int, s *metric.Series) { *s = metric.Series{Value: r.values[i]} }

// show shows the next family, with a value for each label set. Calls are in the order of names
// and, in each, of labels, so nothing is sorted.
func (m *selfMetrics) show(name string, t metric.Type, help string, labels []metric.Labels, values ...float64) {
	if m.shown == len(m.families) {
		m.families = append(m.families, views.Family{Family: &metric.Family{Name: name, Type: t, Help: help}, Rows: &selfRows{}})
	}
	f := &m.families[m.shown]
	m.shown++
	rows := f.Rows.(*selfRows)
	f.Revision++
	if f.Revision == 0 || f.Layout == 0 || !slices.EqualFunc(rows.labels, labels, slices.Equal) {
		rows.labels, rows.values = slices.Clone(labels), slices.Clone(values)
		f.Layout, f.Revision, f.Revisions = views.NewLayout(), 1, slices.Repeat([]uint32{1}, len(values))
		return
	}
	for i, v := range values {
		if v != rows.values[i] {
			rows.values[i], f.Revisions[i] = v, f.Revision
		}
	}
}

// selfMetrics returns the families of a.self as they are now. They are valid until its next
// call.
func (a *Aggregator) selfMetrics(started time.Time) []views.Family {
	files, processes := make([]float64, len(fileStates)), make([]float64, len(sortedStates))
	state := func(s State) *float64 { return &processes[slices.Index(sortedStates, s)] }
	*state(NoStore) = float64(a.storeless())
	counts := a.snapshot.Archive.Counts
	damaged, unsettled, read := 0, 0, a.snapshot.Archive.Size()
	python := map[string]bool{} // by key, since a process of client_python has several files
	for _, f := range a.snapshot.Files {
		files[slices.Index(fileStates, stateOf(f.Err))]++
		if key := keyOf(f); f.Known && !python[key] {
			*state(stateOfProcess(f))++
			if f.Python != nil {
				python[key] = true
			}
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
	count := func(which mpm.Counter) float64 { return float64(counts[slices.Index(mpm.HeaderCounters[:], which)]) }
	m := &a.self
	m.shown = 0
	gauge := func(name string, v float64, help string) { m.show(name, metric.Gauge, help, noLabels, v) }
	counter := func(name string, v float64, help string) { m.show(name, metric.Counter, help, noLabels, v) }
	gauge("multiprom_archive_bytes", float64(a.snapshot.Archive.Bytes), "Size of the archive of compacted processes.")
	counter("multiprom_compacted_processes", float64(a.snapshot.Archive.Compacted),
		"Dead processes whose values are in the archive.")
	counter("multiprom_compaction_seconds", a.snapshot.Archive.CompactTime.Seconds(), "Time that compacting took.")
	counter("multiprom_compactions", float64(a.snapshot.Archive.Compactions),
		"How often dead processes were compacted into the archive.")
	gauge("multiprom_damaged_records", float64(damaged),
		"Records of readable files that are left out because they are damaged.")
	counter("multiprom_discarded_calls", count(mpm.DiscardedCalls), "Lookups with wrong labels, whose updates went nowhere.")
	counter("multiprom_expired_series", count(mpm.ExpiredSeries),
		"Series that have expired, a time to live after the last update.")
	counter("multiprom_fallback_series", count(mpm.FallbackSeries),
		"Series that no scrape sees, because their file could not grow.")
	m.show("multiprom_files", metric.Gauge,
		"Files in the directory by what became of them, the archive included.", fileStateLabels(), files...)
	gauge("multiprom_hidden_series", float64(a.table.Hidden()),
		"Series that are not shown, because they were idle for their time to live.")
	counter("multiprom_invalid_updates", count(mpm.InvalidUpdates),
		"Updates and exemplars that were dropped because they were invalid.")
	counter("multiprom_merge_conflicts", float64(a.table.LeftOut()),
		"Series that were left out because another schema of their name is served.")
	counter("multiprom_overflow_series", count(mpm.OverflowSeries),
		"New label sets that went to an overflow series, since their family has reached its limit.")
	a.unchanged(a.opts.Now())
	m.show("multiprom_process_unchanged_seconds", metric.Gauge,
		"Time since a value of a living process was last seen to change, those of the go_ and process_ families apart, by slot.", m.labels, m.values...)
	m.show("multiprom_processes", metric.Gauge,
		"Processes with a readable file, and workers without one, by state.", processStateLabels(), processes...)
	gauge("multiprom_read_series", float64(read), "Series of the files and the archive that this scrape has merged.")
	counter("multiprom_reused_series", count(mpm.ReusedSeries), "New series that have space in a file which others have left.")
	counter("multiprom_revived_series", count(mpm.RevivedSeries),
		"Series that an update or a lookup has brought back after their time to live.")
	gauge("multiprom_scrape_duration_seconds", time.Since(started).Seconds(),
		"Time that reading and merging took for this scrape.")
	gauge("multiprom_unsettled_blocks", float64(unsettled),
		"Blocks of files that changed too fast for this scrape: what was known of their series is shown.")
	return m.families
}

// noLabels are those of a family of one series.
var noLabels = []metric.Labels{nil}

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
