package aggregate

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// byProcess gathers the series of each process.
func byProcess(t *testing.T, a *Aggregator) map[string]float64 {
	t.Helper()
	families, err := a.Gather(inspect.WithByProcess(t.Context()))
	require.NoError(t, err)
	return flatten(families)
}

// TestByProcess: each process has its own series, and they add up to the merged ones, also
// those of the archive and of a dead process whose ID a living one has.
func TestByProcess(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	compacted := newProcess(t, elsewhere, "old", 1)
	compacted.count(counter("jobs", "queue"), 100, "mail")
	die(t, compacted.Store, dir)
	compactDir(t, dir)

	dead := newProcess(t, elsewhere, "web-1", 2)
	dead.count(counter("jobs", "queue"), 10, "mail")
	die(t, dead.Store, dir)
	one, two := newProcess(t, dir, "web-1", 3), newProcess(t, dir, "web-2", 4)
	one.count(counter("jobs", "queue"), 1, "mail")
	two.count(counter("jobs", "queue"), 2, "mail")
	two.count(counter("jobs", "queue", "pid"), 5, "mail", "theirs")
	setGauge(one.add(gauge("load", metric.ModeAll)), 7)
	setGauge(two.add(gauge("load", metric.ModeAll)), 8)
	setGauge(one.add(gauge("workers", metric.ModeLiveSum)), 1)
	setGauge(two.add(gauge("workers", metric.ModeLiveSum)), 1)
	h := two.add(histogramSchema("seconds", 1, 2))
	h.Words()[mpm.CellHistogramBuckets+1] = 3
	three := newProcess(t, dir, "web-3", 5) // defines jobs in another way
	setGauge(three.add(gauge("jobs", metric.ModeMax)), 99)

	a := openDir(t, dir, Options{NoSelfMetrics: true})
	before := gather(t, a)
	want := map[string]float64{
		`jobs_total{pid="archive",queue="mail"}`:                   100,
		`jobs_total{pid="web-1",queue="mail"}`:                     11,
		`jobs_total{pid="web-2",queue="mail"}`:                     2,
		`jobs_total{pid="theirs",queue="mail",worker_pid="web-2"}`: 5,
		`load{pid="web-1"}`:                                        7, `load{pid="web-2"}`: 8,
		`workers{pid="web-1"}`: 1, `workers{pid="web-2"}`: 1,
		`seconds_bucket{le="1",pid="web-2"}`: 0, `seconds_bucket{le="2",pid="web-2"}`: 3, `seconds_bucket{le="+Inf",pid="web-2"}`: 3,
		`seconds_sum{pid="web-2"}`: 0, `seconds_count{pid="web-2"}`: 3,
	}
	require.Equal(t, want, byProcess(t, a))
	require.EqualValues(t, 113, before[`jobs_total{queue="mail"}`])
	require.Equal(t, before, gather(t, a), "the merged view is as it was")

	two.count(counter("jobs", "queue"), 1, "print")
	require.EqualValues(t, 1, byProcess(t, a)[`jobs_total{pid="web-2",queue="print"}`])
	require.EqualValues(t, 1, gather(t, a)[`jobs_total{queue="print"}`])
}

// TestByProcessOfTheSameID: two living processes of one ID are told apart as in the merged view.
func TestByProcessOfTheSameID(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	elder, younger := newProcess(t, dir, "web", 1), newProcess(t, dir, "web", 2)
	elder.count(counter("jobs"), 1)
	younger.count(counter("jobs"), 2)
	suffix := younger.Header()
	require.Equal(t, map[string]float64{
		`jobs_total{pid="web"}`: 1, `jobs_total{pid="web-` + suffix.Incarnation.String()[:4] + `"}`: 2,
	}, byProcess(t, a))
}

// TestUnchanged: a reader sees which process changes nothing.
func TestUnchanged(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1000, 0)
	a := openDir(t, dir, Options{Now: func() time.Time { return now }})
	busy, stuck := newProcess(t, dir, "web-a", 1), newProcess(t, dir, "web-b", 2)
	jobs := busy.count(counter("jobs"), 1)
	stuck.count(counter("jobs"), 1)
	goroutines := stuck.add(gauge("go_goroutines", metric.ModeLiveAll))
	age := func() map[string]float64 {
		out := map[string]float64{}
		for k, v := range gather(t, a) {
			if slot, ours := strings.CutPrefix(k, "multiprom_process_unchanged_seconds"); ours {
				out[slot] = v
			}
		}
		return out
	}
	require.Equal(t, map[string]float64{`{slot="0"}`: 0, `{slot="1"}`: 0}, age(), "the first reading knows nothing")

	now = now.Add(time.Minute)
	jobs.Words()[mpm.CellCounterInts]++
	setGauge(goroutines, 12)
	slots := age()
	require.ElementsMatch(t, []float64{0, 60}, []float64{slots[`{slot="0"}`], slots[`{slot="1"}`]}, "the runtime's own metrics do not count")

	now = now.Add(time.Minute)
	stuck.count(counter("jobs"), 0) // a new series is a change
	slots = age()
	require.ElementsMatch(t, []float64{60, 0}, []float64{slots[`{slot="0"}`], slots[`{slot="1"}`]})

	require.NoError(t, stuck.Close())
	require.Len(t, age(), 1, "of living processes only")
	third := newProcess(t, dir, "7", 3) // the slot of its process ID
	third.count(counter("jobs"), 1)
	fourth := newProcess(t, dir, "7", 4) // which is taken
	fourth.count(counter("jobs"), 1)
	slots = age()
	require.Len(t, slots, 3)
	require.Contains(t, slots, `{slot="0"}`)
	require.Contains(t, slots, `{slot="1"}`)
	require.Contains(t, slots, `{slot="7"}`)
}

// TestSlotsAreBounded: processes beyond the bound share a series.
func TestSlotsAreBounded(t *testing.T) {
	living := func(key, id string) *processFiles {
		return &processFiles{Process: Process{State: Live}, key: key, id: id, slot: -1}
	}
	var act activity
	var all []*processFiles
	for i := range 2 * maxSlots {
		all = append(all, living(string(rune('a'+i)), "x"))
	}
	act.assign(all)
	seen := map[int]bool{}
	for _, p := range all {
		require.False(t, seen[p.slot])
		seen[p.slot] = true
	}
	require.True(t, seen[0] && seen[2*maxSlots-1])
	gone := all[5].slot
	next := append([]*processFiles{living("new", "")}, all...)
	for _, p := range next {
		p.slot = -1
	}
	next[6].State = Dead
	act.assign(next)
	require.Equal(t, gone, next[0].slot, "the slot of one that has died")
	require.Equal(t, -1, next[6].slot)
}
