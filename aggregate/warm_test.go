package aggregate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/table"
	"github.com/multiprom/multiprom/internal/actions"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// TestWarmIsCold scrapes a directory again and again while everything happens to it that can
// happen. An aggregator that has followed all of it shows the same as a new one, to the last
// bit, and what it says about which series have changed is true.
func TestWarmIsCold(t *testing.T) {
	seeds := 60
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		seeds = n
	}
	for seed := range uint64(seeds) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			warmIsCold(t, rand.New(rand.NewPCG(seed, 7)), 40)
		})
	}
}

func warmIsCold(t *testing.T, r *rand.Rand, steps int) {
	dir, elsewhere, away := t.TempDir(), t.TempDir(), t.TempDir()
	now := time.Unix(1_000_000, 0)
	opts := Options{NoSelfMetrics: true, Now: func() time.Time { return now }}
	breaks := 0 // the clock breaks when it has been read so often
	breaking := opts
	breaking.Now = func() time.Time {
		if breaks--; breaks == 0 {
			panic("the clock is broken")
		}
		return now
	}
	a := openDir(t, dir, breaking)
	a.table.RenewMin = r.IntN(100) // symbols are renewed early
	w := &watched{seen: map[uint64]shownBefore{}}
	var living []*changing
	for step := range steps {
		now = now.Add(time.Minute)
		comes := func() { living = append(living, startChanging(t, r, dir, step, now)) }
		if len(living) == 0 {
			comes()
		}
		actions.List{
			{Weight: 10, Name: "only values change"},
			{Weight: 3, Name: "a process comes", Do: func() {
				if len(living) < 5 {
					comes()
				}
			}},
			{Weight: 1, Name: "a process ends: its live gauges leave, all else stays", Do: func() {
				i := r.IntN(len(living))
				require.NoError(t, living[i].Close())
				living = append(living[:i], living[i+1:]...)
			}},
			{Weight: 1, Name: "a process has come and died", Do: func() {
				p := startChanging(t, r, elsewhere, step, now)
				p.change(t, r)
				p.change(t, r)
				die(t, p.Store, dir)
			}},
			{Weight: 1, Name: "the dead are compacted", Do: func() { compactDir(t, dir) }},
			{Weight: 1, Name: "the directory is wiped", Do: func() {
				if r.IntN(3) == 0 {
					_, err := Wipe(dir, true)
					require.NoError(t, err)
				}
			}},
			{Weight: 4, Name: "series are removed, and in time others take their places", Do: func() {
				p := living[r.IntN(len(living))]
				for range 1 + r.IntN(6) {
					p.remove(r)
				}
				p.elapsed.Add(int64(time.Hour))
				runtime.GC() // handles of series that were removed are gone
			}},
			{Weight: 1, Name: "a file goes away, or comes back", Do: func() {
				p := living[r.IntN(len(living))]
				from, to := dir, away
				if p.hidden = !p.hidden; !p.hidden {
					from, to = to, from
				}
				name := filepath.Base(p.Path())
				require.NoError(t, os.Rename(filepath.Join(from, name), filepath.Join(to, name)))
			}},
			{Weight: 1, Name: "a process with many series has come, and is wiped off", Do: func() {
				p := startChanging(t, r, elsewhere, step, now)
				for _, f := range p.families {
					for i := range 500 {
						_, err := p.AddSeries(f, []string{strconv.Itoa(i)}, nil)
						require.NoError(t, err)
					}
				}
				path := die(t, p.Store, dir)
				_, err := a.Gather(context.Background())
				require.NoError(t, err)
				require.NoError(t, os.Remove(path))
			}},
			{Weight: 1, Name: "a file of client_python comes or goes", Do: func() { changePython(t, r, dir, step) }},
		}.Random(r)
		for _, p := range living {
			p.now = now
			if r.IntN(8) == 0 { // its clock was set back
				p.now = now.Add(-time.Duration(r.IntN(6)) * time.Minute)
			}
			p.change(t, r)
		}
		if r.IntN(4) == 0 {
			_, err := a.Processes() // reads the files, and merges nothing
			require.NoError(t, err)
			continue
		}
		if r.IntN(8) == 0 { // the next scrape ends halfway
			breaks = 1 + r.IntN(3)
			require.Panics(t, func() { _, _ = a.Gather(context.Background()) })
			if r.IntN(2) == 0 {
				continue
			}
		}
		if r.IntN(4) == 0 {
			_, err := a.Gather(context.Background())
			require.NoError(t, err)
		}
		cold := openDir(t, dir, opts)
		families, err := cold.Gather(context.Background())
		require.NoError(t, err)
		want := linesOf(families)
		if r.IntN(2) == 0 {
			requireSameSight(t, cold, a)
		}
		require.NoError(t, cold.Close())
		views.Show(context.Background(), a, func(families []views.Family, err error) {
			require.NoError(t, err)
			require.Equal(t, want, linesOf(views.Whole(families)), "step %d", step)
			again := recomputed(t, a)
			require.Equal(t, want, linesOf(views.Whole(again.Families())), "step %d", step)
			require.NoError(t, a.table.Verify(again), "step %d", step)
			w.look(t, families)
		})
		require.Equal(t, want, view(t, a), "step %d", step)
	}
}

// recomputed adds up again what the aggregator has read.
func recomputed(t *testing.T, a *Aggregator) *table.Table {
	view := table.New(a.opts.ProcessLabel, a.snapshot.Symbols, a.opts.TTL)
	var files []*snapshot.File
	for _, f := range a.snapshot.Files {
		again := *f
		again.Label = ""
		files = append(files, &again)
	}
	arc, err := snapshot.NewArchive(a.snapshot.Archive.Archive)
	require.NoError(t, err)
	all := &snapshot.Snapshot{Files: files, Archive: arc, Listed: a.snapshot.Listed, Began: a.snapshot.Began, Ended: a.snapshot.Ended}
	view.Plan(all)
	view.Merge(all, a.opts.Now().UnixNano())
	return view
}

// changePython writes a file of a process of client_python, or removes one.
func changePython(t *testing.T, r *rand.Rand, dir string, id int) {
	if old, err := filepath.Glob(filepath.Join(dir, "*.db")); err == nil && len(old) > 0 && r.IntN(2) == 0 {
		require.NoError(t, os.Remove(old[r.IntN(len(old))]))
		return
	}
	sample := func(family, suffix, le string) pyfiletest.Sample {
		key := fmt.Sprintf(`["%s", "%s%s", {"l": "%d"%s}, "H."]`, family, family, suffix, id%5, le)
		return pyfiletest.Sample{Key: key, Value: float64(r.IntN(20)) / 2}
	}
	kind, samples := "counter", []pyfiletest.Sample{sample("c", "_total", ""), sample("whole", "_total", "")}
	switch r.IntN(3) {
	case 0:
		kind, samples = "gauge_livesum", []pyfiletest.Sample{sample("g_livesum", "", "")}
	case 1:
		kind, samples = "histogram", []pyfiletest.Sample{sample("h", "_sum", ""), sample("h", "_bucket", `, "le": "2.0"`), sample("h", "_bucket", `, "le": "+Inf"`)}
	}
	content := pyfiletest.Timed.Content(samples...)
	require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s_%d.db", kind, id)), content, 0o600))
}

// TestPanicHalfway: a server recovers from a panic in a scrape, and the next scrape is right
// again.
func TestPanicHalfway(t *testing.T) {
	dir := t.TempDir()
	var broken bool
	a := openDir(t, dir, Options{NoSelfMetrics: true, Now: func() time.Time {
		if broken {
			panic("the clock is broken")
		}
		return time.Unix(1, 0)
	}})
	p := newProcess(t, dir, "w", 1)
	f, err := p.AddSchema(&metric.Schema{Name: "s", Help: "S.", Type: metric.Summary, Labels: []string{"l"}})
	require.NoError(t, err)
	count := func(s *mpm.Series, n uint64) { atomic.AddUint64(&s.Words()[mpm.CellSummaryCount], n) }
	series := func(label string) *mpm.Series {
		s, err := p.AddSeries(f, []string{label}, nil)
		require.NoError(t, err)
		return s
	}
	old := series("old")
	count(old, 1)
	show(t, a)
	fresh := series("fresh") // is planned, and then not added
	count(fresh, 5)
	broken = true
	for range 2 {
		require.Panics(t, func() { show(t, a) })
		count(old, 1)
		count(fresh, 2)
	}
	broken = false
	want := map[string]float64{`s_count{l="old"}`: 3, `s_count{l="fresh"}`: 9, `s_sum{l="old"}`: 0, `s_sum{l="fresh"}`: 0}
	for range 2 {
		require.Equal(t, want, flatten(show(t, a)))
	}
}

// TestEndOfAnEnd: a part that does not count because of a removal counts again once the
// evidence of the removal is gone. The family's other series stay as they are.
func TestEndOfAnEnd(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	first, second := startAt(t, dir, &now), startAt(t, elsewhere, &now)
	first.series(5)
	y, err := first.AddSeries(first.family, []string{"y"}, nil)
	require.NoError(t, err)
	y.Words()[mpm.CellCounterInts] = 7
	gone := second.series(1)
	require.NoError(t, first.Close()) // it runs on, and keeps its older part
	now = now.Add(time.Second)
	gone.Remove()
	path := die(t, second.Store, dir)
	require.Equal(t, map[string]float64{`c_total{l="y"}`: 7}, flatten(show(t, a)))
	require.NoError(t, os.Remove(path))
	require.Equal(t, map[string]float64{`c_total{l="x"}`: 5, `c_total{l="y"}`: 7}, flatten(show(t, a)))
}

// TestPartThatGoes: if a part goes that was in accumulators and not in totals, the series is
// said to have changed.
func TestPartThatGoes(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	stays, goes := startAt(t, dir, &now), startAt(t, elsewhere, &now)
	stays.series(5)
	gone := goes.series(3)
	now = now.Add(time.Second)
	gone.Remove()
	path := die(t, goes.Store, dir)
	w := &watched{seen: map[uint64]shownBefore{}}
	seenAs(t, a, w, map[string]float64{`c_total{l="x"}`: 8})
	require.NoError(t, os.Remove(path))
	for range 2 {
		seenAs(t, a, w, map[string]float64{`c_total{l="x"}`: 5})
	}
}

// show returns what View shows.
func show(t *testing.T, a *Aggregator) (families []*metric.Family) {
	views.Show(context.Background(), a, func(f []views.Family, err error) {
		require.NoError(t, err)
		for _, f := range f {
			families = append(families, f.Whole())
		}
	})
	return families
}

// watched holds families as they were shown before.
type watched struct{ seen map[uint64]shownBefore }

type shownBefore struct {
	revision uint32
	series   [][]string
}

// look compares series that are said not to have changed with what they were.
func (w *watched) look(t *testing.T, families []views.Family) {
	for _, f := range families {
		whole := f.Whole()
		now := shownBefore{revision: f.Revision}
		require.Len(t, f.Revisions, len(whole.Series))
		for i := range whole.Series {
			one := *whole
			one.Series = whole.Series[i : i+1]
			now.series = append(now.series, linesOf([]*metric.Family{&one}))
		}
		if old, known := w.seen[f.Layout]; known {
			require.Greater(t, f.Revision, old.revision)
			for i, revision := range f.Revisions {
				require.LessOrEqual(t, revision, f.Revision)
				if revision <= old.revision {
					require.Equal(t, old.series[i], now.series[i], "revision %d, shown before at %d", revision, old.revision)
				}
			}
		}
		w.seen[f.Layout] = now
	}
}

// changing is a living process, whose series change.
type changing struct {
	*mpm.Store
	now      time.Time
	elapsed  atomic.Int64
	hidden   bool // its file is not in the directory
	families []*mpm.SchemaRef
	series   []changingSeries
}

type changingSeries struct {
	*mpm.Series
	schema *metric.Schema
	native *recorded // nil if it has no native buckets
}

func startChanging(t *testing.T, r *rand.Rand, dir string, number int, now time.Time) *changing {
	p := &changing{now: now}
	s, err := mpm.Create(dir, mpm.Options{
		Label: strconv.Itoa(number % 7), Now: func() time.Time { return p.now }, KeepRemoved: time.Minute,
		Elapsed: func() time.Duration { return time.Duration(p.elapsed.Load()) },
	})
	require.NoError(t, err)
	p.Store = s
	help, labels := []string{"H.", "H.", "I."}[r.IntN(3)], []string{"l"}
	schemas := []*metric.Schema{
		{Name: "differs", Help: help, Type: metric.Counter, Labels: labels}, {Name: "differs2", Help: help, Type: metric.Summary, Labels: labels},
		counter("c", "l"), counter("whole", "l"), {Name: "s", Help: "S.", Type: metric.Summary, Labels: []string{"l"}},
		{Name: "h", Help: "H.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: [][]float64{{1, 2, 3}, {1, 2, 3}, {2, 4}}[r.IntN(3)]},
		{Name: "sums", Help: "H.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: []float64{1}},
		gauge("g_sum", metric.ModeSum, "l"), gauge("g_livesum", metric.ModeLiveSum, "l"), gauge("g_max", metric.ModeMax, "l"),
		gauge("g_all", metric.ModeAll, "l"), gauge("g_recent", metric.ModeMostRecent, "l"),
		counter("ttl_c", "l"), {Name: "ttl_h", Help: "H.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: []float64{1}},
		nativeSchema(r, "n"), nativeSchema(r, "nb", [][]float64{{1, 2, 3}, {2, 4}}[r.IntN(2)]...), anyKind(r, "differs3"), nativeSchema(r, "ttl_n", 1),
		gauge("ttl_g_sum", metric.ModeSum, "l"), gauge("ttl_g_livesum", metric.ModeLiveSum, "l"), gauge("ttl_g_all", metric.ModeAll, "l"), gauge("ttl_g_max", metric.ModeMax, "l"),
	}
	for _, schema := range schemas {
		if strings.HasPrefix(schema.Name, "ttl_") {
			schema.TTL = []time.Duration{8 * time.Minute, 6 * time.Minute, 6 * time.Minute}[r.IntN(3)]
		}
	}
	if r.IntN(3) == 0 { // than that of most others
		schemas[0].Type, schemas[1].Type = metric.Summary, metric.Counter
	}
	for _, schema := range schemas {
		if r.IntN(6) > 0 {
			f, err := s.AddSchema(schema)
			require.NoError(t, err)
			p.families = append(p.families, f)
		}
	}
	return p
}

// change adds some series, and changes some that are there.
func (p *changing) change(t *testing.T, r *rand.Rand) {
	for _, f := range p.families {
		for r.IntN(3) == 0 {
			s, err := p.AddSeries(f, []string{strconv.Itoa(r.IntN(12))}, nil)
			require.NoError(t, err)
			one := changingSeries{Series: s, schema: f.Schema()}
			if one.schema.Native != nil {
				one.native = newRecorded(s, one.schema)
			}
			p.series = append(p.series, one)
		}
	}
	for _, s := range p.series {
		if r.IntN(5) == 0 {
			changeSeries(r, s, p.now)
		}
	}
}

// changeSeries changes one series as an instrument may, sometimes to a value that totals
// cannot hold.
func changeSeries(r *rand.Rand, s changingSeries, now time.Time) {
	if s.native != nil {
		s.native.change(r, now)
		return
	}
	words, schema := s.Words(), s.schema
	floats := []float64{0.1, 1, 1e17, 3e-9, -0.3, 12345.678, 0}
	if r.IntN(8) == 0 {
		floats = append(floats, math.Inf(1), math.NaN(), 1e300, 5e-324)
	}
	v := floats[r.IntN(len(floats))]
	add := func(i int, v float64) {
		atomic.StoreUint64(&words[i], math.Float64bits(math.Float64frombits(words[i])+v))
	}
	count := uint64(r.IntN(1000))
	if r.IntN(30) == 0 {
		count = math.MaxUint64 - count
	}
	switch schema.Type {
	case metric.Counter:
		atomic.AddUint64(&words[mpm.CellCounterInts], count)
		if schema.Name == "c" && v > 0 {
			add(mpm.CellCounterFloat, v)
		}
		if r.IntN(20) == 0 {
			s.SetExemplar(0, metric.MakeLabels("id", strconv.Itoa(r.IntN(100))), 1, now.UnixNano())
		}
	case metric.Summary:
		atomic.AddUint64(&words[mpm.CellSummaryCount], count%1000)
		add(mpm.CellSummarySum, v)
	case metric.Histogram:
		if schema.Name == "sums" {
			v = float64(r.IntN(100)) / 7 // these hold in two parts
		}
		i := r.IntN(len(schema.Bounds) + 1)
		atomic.AddUint64(&words[mpm.CellHistogramBuckets+i], count%1000)
		add(mpm.CellHistogramSum, v)
	case metric.Gauge:
		bits := math.Float64bits(v)
		if math.IsNaN(v) && r.IntN(2) == 0 {
			bits = mpm.UnsetBits
		}
		if schema.Mode.Base() == metric.ModeMostRecent {
			mpm.StoreRecent(words, bits, now.UnixNano()-int64(r.IntN(1e9)))
		} else {
			atomic.StoreUint64(&words[mpm.CellGauge], bits)
		}
	}
}

// remove removes one of the process's series, or sets it back to 0.
func (p *changing) remove(r *rand.Rand) {
	if len(p.series) == 0 {
		return
	}
	i := r.IntN(len(p.series))
	s := p.series[i]
	if s.schema.Type == metric.Counter && r.IntN(2) == 0 {
		s.Restart(p.now, func(words []uint64) { clear(words) })
		return
	}
	if s.native != nil && r.IntN(3) == 0 {
		s.native.restart(p.now)
		return
	}
	s.Remove()
	p.series = append(p.series[:i], p.series[i+1:]...)
}
