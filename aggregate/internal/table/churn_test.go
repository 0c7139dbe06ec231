package table

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// churning is a table of one store of a process whose series come and go.
type churning struct {
	*Table
	t       *testing.T
	store   *mpm.Store
	elapsed time.Duration
	all     *snapshot.Snapshot
	file    *snapshot.File
	family  *mpm.SchemaRef
}

func startChurning(t *testing.T, schema *metric.Schema) *churning {
	symbols := &mpm.SymbolTable{}
	c := &churning{Table: New("pid", symbols, nil), t: t}
	c.store = mpm.NewHeap(mpm.Options{Elapsed: func() time.Duration { return c.elapsed }})
	var err error
	c.family, err = c.store.AddSchema(schema)
	require.NoError(t, err)
	c.all = snapshot.New("", nil, 0, symbols)
	c.file = c.all.AddStore(c.store)
	return c
}

func (c *churning) add(n, first int) (out []*mpm.Series) {
	for i := range n {
		s, err := c.store.AddSeries(c.family, []string{strconv.Itoa(first + i)}, nil)
		require.NoError(c.t, err)
		out = append(out, s)
	}
	return out
}

func (c *churning) scrape() {
	_, err := c.all.List(false)
	require.NoError(c.t, err)
	for _, f := range c.all.Files {
		d, err := f.ReadDelta()
		require.NoError(c.t, err)
		c.Apply(f, d)
	}
	c.Plan(c.all)
	c.Merge(c.all, 0)
}

// TestPlacingAmongGaps: if a file is placed again of whose numbers many are gaps, those that
// come later, into the gaps, make no span each.
func TestPlacingAmongGaps(t *testing.T) {
	const series = 2000
	c := startChurning(t, &metric.Schema{Name: "c", Help: "C.", Type: metric.Counter, Labels: []string{"l"}})
	made := c.add(series, 0)
	c.scrape()
	for i := 0; i < series; i += 2 {
		made[i].Remove()
	}
	c.scrape()
	c.file.Label = "another"
	c.scrape()
	c.add(series/2, series)
	c.scrape()
	require.LessOrEqual(t, c.SpansOf(c.file), 10)
}

// TestSymbolsOfSeriesWithoutARow: texts of series that come and go are dropped although no
// row was ever made for them, since another schema is served.
func TestSymbolsOfSeriesWithoutARow(t *testing.T) {
	served := mpm.NewHeap(mpm.Options{Now: func() time.Time { return time.Unix(1, 0) }})
	_, err := served.AddSchema(&metric.Schema{Name: "c", Help: "C.", Type: metric.Gauge, Labels: []string{"l"}})
	require.NoError(t, err)
	c := startChurning(t, &metric.Schema{Name: "c", Help: "C.", Type: metric.Counter, Labels: []string{"l"}})
	c.all.AddStore(served)
	c.RenewMin = 500
	made := 0
	require.Eventually(t, func() bool {
		for _, s := range c.add(100, made) {
			s.Remove()
		}
		made += 100
		runtime.GC() // the space of those before is used again
		c.elapsed += time.Hour
		c.scrape()
		return made > 5000 && c.symbols.Len() < 1000
	}, 20*time.Second, time.Millisecond)
	require.False(t, c.Serves(c.family.Schema()))
}

// TestMemoryAfterAPeak: what had many series keeps no memory for them.
func TestMemoryAfterAPeak(t *testing.T) {
	for _, kind := range []metric.Type{metric.Counter, metric.Gauge, metric.Summary} {
		c := startChurning(t, &metric.Schema{Name: "c", Help: "C.", Type: kind, Mode: metric.ModeSum, Labels: []string{"l"}})
		c.RenewMin = 100
		stay := c.add(3, 0)
		for _, s := range c.add(20_000, 3) {
			s.Remove()
		}
		c.scrape()
		require.GreaterOrEqual(t, len(c.byName["c"].symbol), 20_000)
		made := 20_003
		require.Eventually(t, func() bool {
			for _, s := range c.add(100, made) { // the space of the others is used again
				s.Remove()
			}
			made += 100
			runtime.GC()
			c.elapsed += time.Hour
			c.scrape()
			fam := c.byName["c"]
			return max(cap(fam.symbol), cap(fam.free), cap(fam.totals.created), c.symbols.Len()) < 2000
		}, 20*time.Second, time.Millisecond)
		require.Equal(t, []string{`{l="0"}`, `{l="1"}`, `{l="2"}`}, shownLabels(c))
		runtime.KeepAlive(stay)
	}
}

func shownLabels(c *churning) (out []string) {
	for _, f := range c.Families() {
		for i := range f.Rows.Len() {
			out = append(out, f.Rows.AppendLabels(nil, i).String())
		}
	}
	return out
}

// TestLowestNumbersFirst: of rows that are free, the lowest number is given out first,
// however they became free.
func TestLowestNumbersFirst(t *testing.T) {
	c := startChurning(t, &metric.Schema{Name: "c", Help: "C.", Type: metric.Counter, Labels: []string{"l"}})
	random := rand.New(rand.NewPCG(1, 2))
	var all []*mpm.Series
	made := 0
	for range 50 {
		n := random.IntN(40)
		all, made = append(all, c.add(n, made)...), made+n
		c.scrape()
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		gone := random.IntN(len(all) + 1)
		for _, s := range all[:gone] {
			s.Remove()
		}
		all = all[gone:]
		c.scrape()
		fam := c.byName["c"]
		require.Len(t, fam.symbol, len(all)+len(fam.free))
		require.True(t, slices.IsSortedFunc(fam.free, func(a, b int32) int { return cmp.Compare(b, a) }), "%v", fam.free)
	}
}

// BenchmarkSweepAfterAPeak drops a few rows of a family that once had very many.
func BenchmarkSweepAfterAPeak(b *testing.B) {
	const peak = 1_000_000
	fam := &family{free: make([]int32, peak)}
	for i := range fam.free {
		fam.free[i] = int32(2 * (peak - i))
	}
	before := slices.Clone(fam.free)
	t := &Table{byName: map[string]*family{"c": fam}}
	fam.symbol, fam.refs = make([]mpm.Symbol, 2*peak+1), make([]int32, 2*peak+1)
	fam.index.bySymbol.fill(fam.symbol)
	for b.Loop() {
		fam.free, fam.unused = append(fam.free[:0], before...), true
		for i := range 100 {
			fam.order = append(fam.order, int32(2*i*(peak/100)+1))
		}
		t.sweep(nil)
	}
}
