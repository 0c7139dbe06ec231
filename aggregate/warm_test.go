package aggregate

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// TestWarmIsCold scrapes a directory again and again while all that can happen to it
// does: what an aggregator that has followed shows is to the last bit what a new one
// does, and what it says of which series have changed is true.
func TestWarmIsCold(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			warmIsCold(t, rand.New(rand.NewPCG(seed, 7)), 40)
		})
	}
}

func warmIsCold(t *testing.T, r *rand.Rand, steps int) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1_000_000, 0)
	opts := Options{NoSelfMetrics: true, Now: func() time.Time { return now }}
	a := openDir(t, dir, opts)
	w := &watched{seen: map[uint64]shownBefore{}}
	var living []*changing
	for step := range steps {
		now = now.Add(time.Minute)
		switch n := r.IntN(20); {
		case n < 3 && len(living) < 5 || len(living) == 0:
			living = append(living, startChanging(t, r, dir, step, now))
		case n == 3: // its live gauges leave, all else stays
			i := r.IntN(len(living))
			require.NoError(t, living[i].Close())
			living = append(living[:i], living[i+1:]...)
		case n == 4:
			p := startChanging(t, r, elsewhere, step, now)
			p.change(t, r)
			p.change(t, r)
			die(t, p.Store, dir)
		case n == 5:
			fold(t, dir)
		case n == 6 && r.IntN(3) == 0:
			_, err := Wipe(dir, true)
			require.NoError(t, err)
		case n == 7:
			living[r.IntN(len(living))].remove(r)
		}
		for _, p := range living {
			p.now = now
			p.change(t, r)
		}
		if r.IntN(4) == 0 {
			_, err := a.Processes() // reads the files, and merges nothing
			require.NoError(t, err)
			continue
		}
		if r.IntN(4) == 0 {
			_, err := a.Gather(context.Background())
			require.NoError(t, err)
		}
		cold := openDir(t, dir, opts)
		families, err := cold.Gather(context.Background())
		require.NoError(t, err)
		want := linesOf(families)
		require.NoError(t, cold.Close())
		a.View(context.Background(), func(families []*metric.Family, err error) {
			require.NoError(t, err)
			require.Equal(t, want, linesOf(families), "step %d", step)
			w.look(t, families)
		})
		require.Equal(t, want, view(t, a), "step %d", step)
	}
}

// TestEndOfAnEnd: what a removed series has left uncounted counts again once the
// evidence of the removal is gone, and the family's other series as before.
func TestEndOfAnEnd(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	first, second := startAt(t, dir, &now), startAt(t, elsewhere, &now)
	first.series(5)
	y, err := first.AddSeries(first.family, []string{"y"}, nil)
	require.NoError(t, err)
	y.Words()[mmapstore.CellCounterInts] = 7
	gone := second.series(1)
	require.NoError(t, first.Close()) // it runs on, and keeps its older part
	now = now.Add(time.Second)
	gone.Remove()
	path := die(t, second.Store, dir)
	require.Equal(t, map[string]float64{`c_total{l="y"}`: 7}, flatten(show(t, a)))
	require.NoError(t, os.Remove(path))
	require.Equal(t, map[string]float64{`c_total{l="x"}`: 5, `c_total{l="y"}`: 7}, flatten(show(t, a)))
}

// TestPartThatGoes: where what is not in dense goes, the series is said to have changed.
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
	look := func(want float64) {
		t.Helper()
		a.View(context.Background(), func(families []*metric.Family, err error) {
			require.NoError(t, err)
			require.Equal(t, map[string]float64{`c_total{l="x"}`: want}, flatten(families))
			w.look(t, families)
		})
	}
	look(8)
	require.NoError(t, os.Remove(path))
	look(5)
	look(5)
}

// show returns what View shows.
func show(t *testing.T, a *Aggregator) (families []*metric.Family) {
	a.View(context.Background(), func(f []*metric.Family, err error) {
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
func (w *watched) look(t *testing.T, families []*metric.Family) {
	for _, f := range families {
		f = f.Whole()
		now := shownBefore{revision: f.Revision}
		require.Len(t, f.Revisions, len(f.Series))
		for i := range f.Series {
			one := *f
			one.Series = f.Series[i : i+1]
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
	*mmapstore.Store
	now      time.Time
	families []*mmapstore.Family
	series   []changingSeries
}

type changingSeries struct {
	*mmapstore.Series
	schema *metric.Schema
}

func startChanging(t *testing.T, r *rand.Rand, dir string, number int, now time.Time) *changing {
	p := &changing{now: now}
	s, err := mmapstore.Create(dir, mmapstore.Options{
		Label: strconv.Itoa(number % 7), Now: func() time.Time { return p.now }, KeepRemoved: time.Second,
	})
	require.NoError(t, err)
	p.Store = s
	schemas := []*metric.Schema{
		counter("c", "l"), counter("whole", "l"), {Name: "s", Help: "S.", Type: metric.Summary, Labels: []string{"l"}},
		{Name: "h", Help: "H.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: [][]float64{{1, 2, 3}, {1, 2, 3}, {2, 4}}[r.IntN(3)]},
		{Name: "sums", Help: "H.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: []float64{1}},
		gauge("g_sum", metric.ModeSum, "l"), gauge("g_livesum", metric.ModeLiveSum, "l"), gauge("g_max", metric.ModeMax, "l"),
		gauge("g_all", metric.ModeAll, "l"), gauge("g_recent", metric.ModeMostRecent, "l"),
	}
	for _, schema := range schemas {
		if r.IntN(6) > 0 {
			f, err := s.AddFamily(schema)
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
			p.series = append(p.series, changingSeries{s, f.Schema()})
		}
	}
	for _, s := range p.series {
		if r.IntN(5) == 0 {
			changeSeries(r, s, p.now)
		}
	}
}

// changeSeries changes one series as an instrument may, now and then beyond what
// plain sums can hold.
func changeSeries(r *rand.Rand, s changingSeries, now time.Time) {
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
		atomic.AddUint64(&words[mmapstore.CellCounterInts], count)
		if schema.Name == "c" && v > 0 {
			add(mmapstore.CellCounterFloat, v)
		}
		if r.IntN(20) == 0 {
			s.SetExemplar(0, metric.MakeLabels("id", strconv.Itoa(r.IntN(100))), 1, now.UnixNano())
		}
	case metric.Summary:
		atomic.AddUint64(&words[mmapstore.CellSummaryCount], count%1000)
		add(mmapstore.CellSummarySum, v)
	case metric.Histogram:
		if schema.Name == "sums" {
			v = float64(r.IntN(100)) / 7 // these hold in two parts
		}
		i := r.IntN(len(schema.Bounds) + 1)
		atomic.AddUint64(&words[mmapstore.CellHistogramBuckets+i], count%1000)
		add(mmapstore.CellHistogramSum, v)
	case metric.Gauge:
		bits := math.Float64bits(v)
		if math.IsNaN(v) && r.IntN(2) == 0 {
			bits = mmapstore.UnsetBits
		}
		if schema.Mode.Base() == metric.ModeMostRecent {
			mmapstore.StoreRecent(words, bits, now.UnixNano()-int64(r.IntN(1e9)))
		} else {
			atomic.StoreUint64(&words[mmapstore.CellGauge], bits)
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
	s.Remove()
	p.series = append(p.series[:i], p.series[i+1:]...)
}
