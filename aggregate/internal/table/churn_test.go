package table

import (
	"runtime"
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
	c := &churning{Table: New("pid", symbols), t: t}
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
		d, err := f.Read()
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
