package aggregate

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// exemplarsOf returns the exemplars of a view, by sample.
func exemplarsOf(t testing.TB, a *Aggregator) map[string]string {
	t.Helper()
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	out := exemplarsIn(families)
	views.Show(context.Background(), a, func(families []views.Family, err error) {
		require.NoError(t, err)
		require.Equal(t, out, exemplarsIn(views.Whole(families)))
	})
	return out
}

func exemplarsIn(families []*metric.Family) map[string]string {
	out := map[string]string{}
	for _, f := range families {
		for s := range f.Samples() {
			if x := s.Exemplar; x != nil {
				out[s.Name+s.Labels.String()] = fmt.Sprintf("%s %v @%d", x.Labels, x.Value, x.Timestamp.UnixNano())
			}
		}
	}
	return out
}

// TestExemplarsMerge: of each bucket the newest is shown, whichever process has
// it, and compacting keeps it.
func TestExemplarsMerge(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	id := func(s string) metric.Labels { return metric.MakeLabels("id", s) }
	old := newProcess(t, elsewhere, "old", 1)
	c := old.add(counter("c", "l"), "x")
	h := old.add(histogramSchema("h", 1, 4))
	c.SetExemplar(0, id("old"), 1, 100)
	h.SetExemplar(1, id("wide"), 2, 100) // its bucket is up to 4, in the view up to 2
	h.SetExemplar(2, id("far"), 9, 100)
	live := newProcess(t, dir, "live", 2)
	c2 := live.add(counter("c", "l"), "x")
	h2 := live.add(histogramSchema("h", 1, 2, 4))
	h2.SetExemplar(2, id("four"), 4, 50)
	warm := openDir(t, dir, Options{})
	require.Equal(t, map[string]string{`h_bucket{le="4"}`: `{id="four"} 4 @50`}, exemplarsOf(t, warm))

	die(t, old.Store, dir)
	want := map[string]string{
		`c_total{l="x"}`: `{id="old"} 1 @100`, `h_bucket{le="2"}`: `{id="wide"} 2 @100`, `h_bucket{le="4"}`: `{id="four"} 4 @50`,
		`h_bucket{le="+Inf"}`: `{id="far"} 9 @100`,
	}
	check := func() {
		t.Helper()
		require.Equal(t, want, exemplarsOf(t, warm))
		require.Equal(t, want, exemplarsOf(t, openDir(t, dir, Options{})))
	}
	check()
	require.Len(t, compactDir(t, dir).Compacted, 1)
	check()

	c2.SetExemplar(0, id("older"), 1, 99)
	check()
	c2.SetExemplar(0, id("newer"), 1, 101)
	h2.SetExemplar(3, id("nan"), math.NaN(), 101)
	want[`c_total{l="x"}`], want[`h_bucket{le="+Inf"}`] = `{id="newer"} 1 @101`, `{id="nan"} NaN @101`
	check()
	c2.Remove()
	delete(want, `c_total{l="x"}`) // the series is over, in all processes
	check()

	c3 := live.add(counter("d"))
	c3.SetExemplar(0, id("gone"), 1, 102)
	want["d_total"] = `{id="gone"} 1 @102`
	check()
	c3.Restart(time.Unix(3, 0), func([]uint64) {})
	delete(want, "d_total")
	check()
}

// traced counts with exemplars that say what they belong to, until it is killed.
func traced(dir string) error {
	s, err := mpm.Create(dir, mpm.Options{})
	if err != nil {
		return err
	}
	f, err := s.AddSchema(counter("c"))
	if err != nil {
		return err
	}
	c, err := s.AddSeries(f, nil, nil)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		c.SetExemplar(0, metric.MakeLabels("id", tracedID(n)), float64(n), time.Now().UnixNano())
		if n == 1000 {
			fmt.Println("ready")
		}
	}
}

func tracedID(n int) string { return strings.Repeat(strconv.Itoa(n%10), 1+n%100) }

// TestExemplarsOfKilledProcesses: a process that is killed while it writes an
// exemplar leaves a whole one.
func TestExemplarsOfKilledProcesses(t *testing.T) {
	dir := t.TempDir()
	warm := openDir(t, dir, Options{})
	newest := time.Time{}
	check := func() {
		t.Helper()
		families, err := warm.Gather(context.Background())
		require.NoError(t, err)
		for _, f := range families {
			if f.Name == "c" {
				x := f.Series[0].Exemplar
				require.NotNil(t, x)
				require.Equal(t, metric.MakeLabels("id", tracedID(int(x.Value))), x.Labels)
				require.False(t, x.Timestamp.Before(newest))
				newest = x.Timestamp
			}
		}
	}
	for range 10 {
		kill := startRole(t, "traced", dir)
		check()
		kill()
		check()
	}
	require.Len(t, compactDir(t, dir).Compacted, 10)
	before := newest
	check()
	require.Equal(t, before, newest)
}

// TestExemplarsOfALifeThatIsOver: a series that is made again has none of the exemplars from
// before, of whatever process, and from the archive neither.
func TestExemplarsOfALifeThatIsOver(t *testing.T) {
	for _, compacting := range []bool{false, true} {
		dir, elsewhere := t.TempDir(), t.TempDir()
		now := time.Unix(1000, 0)
		later := func() { now = now.Add(time.Second) }
		warm := openDir(t, dir, Options{NoSelfMetrics: true})
		dead := startAt(t, elsewhere, &now)
		dead.series(100).SetExemplar(0, metric.MakeLabels("id", "dead"), 1, now.UnixNano())
		die(t, dead.Store, dir)
		if compacting {
			require.Len(t, compactDir(t, dir).Compacted, 1)
		}
		later()
		removes := startAt(t, dir, &now)
		s := removes.series(10)
		key := `c_total{l="x"}`
		require.Len(t, exemplarsOf(t, warm), 1, "the life goes on")
		later()
		s.Remove()
		later()
		again := startAt(t, dir, &now)
		made := again.series(1)
		for _, a := range []*Aggregator{warm, openDir(t, dir, Options{NoSelfMetrics: true})} {
			require.Equal(t, 1.0, gather(t, a)[key])
			require.Empty(t, exemplarsOf(t, a))
		}
		made.SetExemplar(0, metric.MakeLabels("id", "new"), 1, 1) // older than the one that is gone
		require.Equal(t, map[string]string{key: `{id="new"} 1 @1`}, exemplarsOf(t, warm))
	}
}
