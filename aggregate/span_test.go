package aggregate

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// TestManySeriesInManyOrders is TestWarmIsCold with many series. Workers make them in much the
// same order, in another one, or one of each family in turn. Processes come, die and are
// compacted, and series change and are removed.
func TestManySeriesInManyOrders(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { manyOrders(t, rand.New(rand.NewPCG(seed, 3))) })
	}
}

func manyOrders(t *testing.T, r *rand.Rand) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1_000_000, 0)
	opts := Options{NoSelfMetrics: true, Now: func() time.Time { return now }}
	a := openDir(t, dir, opts)
	w := &watched{seen: map[uint64]shownBefore{}}
	start := func(dir string, number int) *changing {
		p := &changing{now: now}
		s, err := mpm.Create(dir, mpm.Options{
			Label: strconv.Itoa(number), Now: func() time.Time { return p.now }, KeepRemoved: time.Second,
		})
		require.NoError(t, err)
		p.Store = s
		var names [][2]int // number of a family, and of a label
		for f, schema := range []*metric.Schema{
			counter("whole", "l"), histogramSchema("sums", 1, 2), gauge("g_livesum", metric.ModeLiveSum, "l"),
		} {
			schema.Labels = []string{"l"}
			ref, err := s.AddSchema(schema)
			require.NoError(t, err)
			p.families = append(p.families, ref)
			for i := range 60 {
				names = append(names, [2]int{f, i})
			}
		}
		swap := func(i, j int) { names[i], names[j] = names[j], names[i] }
		switch r.IntN(4) {
		case 0:
			r.Shuffle(len(names), swap)
		case 1: // in turn
			for i := range names {
				names[i] = [2]int{i % 3, i / 3}
			}
		case 2:
			for range 3 {
				swap(r.IntN(len(names)), r.IntN(len(names)))
			}
		}
		for _, n := range names[:len(names)-r.IntN(20)] {
			f := p.families[n[0]]
			s, err := p.AddSeries(f, []string{strconv.Itoa(n[1])}, nil)
			require.NoError(t, err)
			p.series = append(p.series, changingSeries{Series: s, schema: f.Schema()})
		}
		return p
	}
	var living []*changing
	for step := range 15 {
		now = now.Add(time.Minute)
		switch n := r.IntN(8); {
		case n < 3 && len(living) < 4 || len(living) == 0:
			living = append(living, start(dir, step))
		case n == 3:
			p := start(elsewhere, step)
			p.change(t, r)
			die(t, p.Store, dir)
		case n == 4:
			compactDir(t, dir)
		case n == 5:
			p := living[r.IntN(len(living))]
			p.now = now
			p.remove(r)
		case n == 6:
			i := r.IntN(len(living))
			require.NoError(t, living[i].Close())
			living = append(living[:i], living[i+1:]...)
		}
		for _, p := range living {
			p.now = now
			for _, s := range p.series {
				if r.IntN(20) == 0 {
					changeSeries(r, s, now)
				}
			}
		}
		cold := openDir(t, dir, opts)
		want := view(t, cold)
		require.NoError(t, cold.Close())
		views.Show(context.Background(), a, func(families []views.Family, err error) {
			require.NoError(t, err)
			require.Equal(t, want, linesOf(views.Whole(families)), "step %d", step)
			require.NoError(t, a.table.Verify(recomputed(t, a)))
			w.look(t, families)
		})
	}
}

// TestRemovedGaugeIsNoPart: a gauge that a process has removed does not count any more, while
// another process that had it before still has it.
func TestRemovedGaugeIsNoPart(t *testing.T) {
	dir := t.TempDir()
	setGauge(newTickingProcess(t, dir, "older", time.Unix(1, 0)).add(gauge("g_sum", metric.ModeSum)), 3)
	removed := newTickingProcess(t, dir, "removes", time.Unix(2, 0)).add(gauge("g_sum", metric.ModeSum))
	setGauge(removed, 5)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	require.Equal(t, map[string]float64{"g_sum": 8}, gather(t, a))
	removed.Remove()
	for _, a := range []*Aggregator{a, openDir(t, dir, Options{NoSelfMetrics: true})} {
		require.Equal(t, map[string]float64{"g_sum": 3}, gather(t, a))
	}
}

// TestRevisionsOfAPlan: if the plan changes, only the series that it is about are revised.
func TestRevisionsOfAPlan(t *testing.T) {
	const series = 100
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	start := func(dir, label string, series int) (p *process, made []*mpm.Series) {
		p = newTickingProcess(t, dir, label, time.Unix(1, 0))
		f, err := p.AddSchema(counter("c", "l"))
		require.NoError(t, err)
		for i := range series {
			s, err := p.AddSeries(f, []string{strconv.Itoa(i)}, nil)
			require.NoError(t, err)
			made = append(made, s)
		}
		return p, made
	}
	revised := func() (n int) {
		views.Show(t.Context(), a, func(families []views.Family, err error) {
			require.NoError(t, err)
			for _, revision := range families[0].Revisions {
				if revision == families[0].Revision {
					n++
				}
			}
		})
		return n
	}
	start(dir, "stays", series)
	require.Equal(t, series, revised())
	require.Zero(t, revised())
	_, made := start(dir, "comes", 1)
	require.Equal(t, 1, revised(), "a process comes")
	made[0].Remove()
	require.Equal(t, 1, revised(), "it removes its series")
	p, _ := start(elsewhere, "dead", 2)
	path := die(t, p.Store, dir)
	require.Equal(t, 2, revised(), "another was there")
	require.NoError(t, os.Remove(path))
	require.Equal(t, 2, revised(), "its file goes away")
	require.Zero(t, revised())
}

// TestOldPartThatChanges: a part of a life that is over does not count, even if it changes. It
// may change in a process that has closed its file and still runs.
func TestOldPartThatChanges(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1000, 0)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	first, second := startAt(t, dir, &now), startAt(t, dir, &now)
	old, gone := first.series(5), second.series(1)
	require.NoError(t, first.Close())
	now = now.Add(time.Second)
	gone.Remove()
	require.Empty(t, flatten(show(t, a)))
	now = now.Add(time.Second)
	second.series(100)
	require.Equal(t, map[string]float64{`c_total{l="x"}`: 100}, flatten(show(t, a)))
	old.Words()[mpm.CellCounterInts] = 9
	require.Equal(t, map[string]float64{`c_total{l="x"}`: 100}, flatten(show(t, a)))
}

// TestLiveGaugeThatRunsOn: a live gauge of a process that has closed its file does not count,
// even if it changes.
func TestLiveGaugeThatRunsOn(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	stays, ends := newProcess(t, dir, "stays", 1), newProcess(t, dir, "ends", 2)
	setGauge(stays.add(gauge("g", metric.ModeLiveSum)), 1)
	g := ends.add(gauge("g", metric.ModeLiveSum))
	setGauge(g, 2)
	require.Equal(t, map[string]float64{"g": 3}, flatten(show(t, a)))
	require.NoError(t, ends.Close())
	require.Equal(t, map[string]float64{"g": 1}, flatten(show(t, a)))
	setGauge(g, 7)
	require.Equal(t, map[string]float64{"g": 1}, flatten(show(t, a)))
}
