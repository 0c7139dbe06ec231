package aggregate

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/metric"
)

// crowdSchema is the histogram of process i of a crowd: its bounds are its own.
func crowdSchema(i int) *metric.Schema {
	bounds := make([]float64, 100)
	for j := range bounds {
		bounds[j] = float64(i*len(bounds) + j)
	}
	h := histogramSchema("h", bounds...)
	h.Labels = []string{"l"}
	return h
}

// crowd makes processes with a series and an observation each.
func crowd(t *testing.T, dir string, processes int) {
	for i := range processes {
		newProcess(t, dir, strconv.Itoa(i), 1).add(crowdSchema(i), strconv.Itoa(i)).Words()[mpm.CellHistogramBuckets] = 1
	}
}

// observed returns how many observations of h are shown, and of how many series.
func observed(t *testing.T, a *Aggregator) (count float64, series int) {
	for _, f := range show(t, a) {
		if f.Name == "h" {
			series = len(f.Series)
			for i := range f.Series {
				count += float64(f.Series[i].Count)
			}
		}
	}
	return count, series
}

// makeRoom adds words of another family, for which a family may have more series.
func makeRoom(t *testing.T, dir string) {
	p := newProcess(t, dir, "large", 1)
	f, err := p.AddSchema(counter("other", "l"))
	require.NoError(t, err)
	for i := range 25_000 {
		_, err := p.AddSeries(f, []string{strconv.Itoa(i)}, nil)
		require.NoError(t, err)
	}
}

// TestLeftOutSeriesComeBack: series that a family had no room for are there at the first
// scrape that has room for them: of native files, of the archive, and of client_python's.
func TestLeftOutSeriesComeBack(t *testing.T) {
	const processes = 60 // there is room for half of them
	t.Run("native", func(t *testing.T) {
		dir := t.TempDir()
		crowd(t, dir, processes)
		a := openDir(t, dir, Options{NoSelfMetrics: true})
		for range 2 {
			_, series := observed(t, a)
			require.Less(t, series, processes*2/3)
		}
		conflicts := a.table.LeftOut()
		makeRoom(t, dir)
		for range 2 {
			count, series := observed(t, a)
			require.Equal(t, processes, series)
			require.Equal(t, float64(processes), count)
		}
		require.Equal(t, conflicts, a.table.LeftOut(), "what comes back is not left out again")
		require.NoError(t, a.table.Verify(recomputed(t, a)))
	})
	t.Run("archive", func(t *testing.T) {
		dir, elsewhere := t.TempDir(), t.TempDir()
		dead := newProcess(t, elsewhere, "dead", 1)
		h := histogramSchema("h", -1)
		h.Labels = []string{"l"}
		f, err := dead.AddSchema(h)
		require.NoError(t, err)
		for i := range processes {
			s, err := dead.AddSeries(f, []string{"dead" + strconv.Itoa(i)}, nil)
			require.NoError(t, err)
			s.Words()[mpm.CellHistogramBuckets] = 1
		}
		die(t, dead.Store, dir)
		compactDir(t, dir)
		a := openDir(t, dir, Options{NoSelfMetrics: true})
		count, _ := observed(t, a)
		require.Equal(t, float64(processes), count)
		crowd(t, dir, processes)
		for range 2 {
			_, series := observed(t, a)
			require.Less(t, series, processes)
		}
		makeRoom(t, dir)
		for range 2 {
			count, series := observed(t, a)
			require.Equal(t, 2*processes, series)
			require.Equal(t, float64(2*processes), count)
		}
		require.NoError(t, a.table.Verify(recomputed(t, a)))
	})
	t.Run("client_python", func(t *testing.T) {
		dir := t.TempDir()
		const series = 500
		var samples []pyfiletest.Sample
		for i := range series {
			samples = append(samples, pySample("h", "h_bucket", fmt.Sprintf(`"l": "%d", "le": "%d.0"`, i, i), 1, 0))
		}
		writePython(t, dir, "histogram_1.db", samples...)
		a := openDir(t, dir, Options{NoSelfMetrics: true})
		_, n := observed(t, a)
		require.Less(t, n, series/2)
		makeRoom(t, dir)
		for range 2 {
			count, n := observed(t, a)
			require.Equal(t, series, n)
			require.Equal(t, float64(series), count)
		}
	})
}

// TestPlacesOfThoseThatLeave: the places of a file that goes away are taken, in the same
// scrape, by series that there was no room for.
func TestPlacesOfThoseThatLeave(t *testing.T) {
	const own = 10
	dir := t.TempDir()
	s, err := mpm.Create(dir, mpm.Options{Label: "leaves", Now: func() time.Time { return time.Unix(0, 1) }})
	require.NoError(t, err)
	crowd(t, dir, 100)
	f, err := s.AddSchema(crowdSchema(0)) // its bounds stay when it goes
	require.NoError(t, err)
	for i := range own {
		_, err := s.AddSeries(f, []string{"own" + strconv.Itoa(i)}, nil)
		require.NoError(t, err)
	}
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	_, before := observed(t, a)
	require.Less(t, before, 100)
	require.NoError(t, os.Remove(s.Path()))
	for range 2 {
		_, after := observed(t, a)
		require.InDelta(t, before, after, 3, "there are a few words fewer")
	}
}
