package record

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// TestTrends: a recorder and who reads its files see the same rates, which are those that were
// counted, also across changes of the file and restarts.
func TestTrends(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	require.NoError(t, os.Mkdir(dir, 0o700))
	one, two := newWriter(t, dir, "one"), newWriter(t, dir, "two")
	jobs := &metric.Schema{Name: "jobs", Help: "H.", Type: metric.Counter}
	calls := &metric.Schema{Name: "calls", Help: "H.", Type: metric.Histogram, Bounds: []float64{1}}
	words := [][]uint64{one.add(jobs).Words(), two.add(jobs).Words(), two.add(calls).Words()}
	a := openView(t, dir)
	c := &clock{time.Unix(999_999, 0)}
	opts := Options{Keep: time.Minute, Now: c.Now} // a step is 2 s
	r, err := Open(DirOf(dir), a, opts)
	require.NoError(t, err)
	defer func() { r.Close() }()
	tick := func(counts ...uint64) {
		c.now = c.now.Add(time.Second)
		for i, n := range counts {
			words[i][[]int{mpm.CellCounterInts, mpm.CellCounterInts, mpm.CellHistogramBuckets}[i]] += n
		}
		require.NoError(t, r.Tick(t.Context()))
	}
	tick(1000, 1000, 1000) // before there is anything to compare with
	for i := range 99 {
		tick(3, uint64(i%2), 2)
	}
	trends := r.Trends()
	require.Equal(t, 2*time.Second, trends.Step)
	require.Equal(t, 30, trends.Steps)
	last := func(line []float64) float64 { return line[len(line)-2] } // a whole step
	require.EqualValues(t, 3.5, last(trends.Family("jobs")))
	require.EqualValues(t, 2, last(trends.Family("calls")))
	require.EqualValues(t, 3, last(trends.Process(filepath.Base(one.Path()))))
	require.EqualValues(t, 2.5, last(trends.Process(filepath.Base(two.Path()))))
	require.Equal(t, make([]float64, 30), trends.Family("nothing"))

	equalsTheFiles := func() {
		t.Helper()
		files, err := ReadTrends(DirOf(dir), 2*time.Second, 30)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(trends), fmt.Sprint(files)) // NaN is no equal of itself
	}
	equalsTheFiles()

	// It goes on after a restart, and nothing is said of the time between.
	require.NoError(t, r.Close())
	c.now = c.now.Add(9 * time.Second)
	r, err = Open(DirOf(dir), a, opts)
	require.NoError(t, err)
	require.Equal(t, trends, r.Trends())
	for range 5 {
		tick(2, 0, 0)
	}
	trends = r.Trends()
	equalsTheFiles()
	line := trends.Family("jobs")
	unknown := 0
	for _, v := range line {
		if math.IsNaN(v) {
			unknown++
		}
	}
	require.Equal(t, 5, unknown, "%v", line)
	require.EqualValues(t, 2, last(line))
	require.EqualValues(t, 3.5, line[2])

	// What counts nothing any more goes, and after a long pause everything does.
	for range 70 {
		tick(1)
	}
	require.NotContains(t, r.Trends().Families, "calls")
	require.Contains(t, r.Trends().Families, "jobs")
	c.now = c.now.Add(time.Hour)
	tick(1)
	require.Empty(t, r.Trends().Families)
}

// TestTicksAreNotOnTime: a step in which no tick came, because one was late, has the rate of the
// one before.
func TestTicksAreNotOnTime(t *testing.T) {
	k := trendKeeper{step: time.Second, steps: 30}
	at := time.Unix(1000, 0)
	random := rand.New(rand.NewPCG(1, 2))
	k.begin(at, false)
	for i := range 29 {
		late := time.Duration(random.IntN(900)) * time.Millisecond
		now := time.Unix(1001+int64(i), 0).Add(late)
		by := 100 * now.Sub(at).Seconds() // 100 a second
		k.begin(now, true)
		k.add("jobs", "1", by)
		at = now
	}
	trends := k.trends()
	require.Len(t, trends.Families["jobs"], 30)
	for _, rate := range trends.Families["jobs"][1:] {
		require.InDelta(t, 100, rate, 1e-9, trends.Families)
	}
}
