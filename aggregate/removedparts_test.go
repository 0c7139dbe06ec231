package aggregate

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
)

// seenAs checks what is shown, and that series have not changed if the view says so.
func seenAs(t *testing.T, a *Aggregator, w *watched, want map[string]float64) {
	t.Helper()
	views.Show(context.Background(), a, func(families []views.Family, err error) {
		require.NoError(t, err)
		require.Equal(t, want, flatten(views.Whole(families)))
		w.look(t, families)
	})
}

// TestRemovedPartsCountOn: the part of a process that has removed the series stays in the sum
// while another process has the series. It grows by what is still added to it, and goes with
// its file.
func TestRemovedPartsCountOn(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1000, 0)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	w := &watched{seen: map[uint64]shownBefore{}}
	stays, removes := startAt(t, dir, &now), startAt(t, dir, &now)
	x := stays.series(5)
	held := removes.series(3)
	seenAs(t, a, w, map[string]float64{`c_total{l="x"}`: 8})
	now = now.Add(time.Second)
	held.Remove()
	for range 2 {
		seenAs(t, a, w, map[string]float64{`c_total{l="x"}`: 8})
	}
	require.False(t, a.table.IsSpilled("c"), "no accumulator is filled for it")

	held.Words()[mpm.CellCounterInts] += 10 // by code that holds the series
	seenAs(t, a, w, map[string]float64{`c_total{l="x"}`: 18})
	x.Words()[mpm.CellCounterInts] += 100
	seenAs(t, a, w, map[string]float64{`c_total{l="x"}`: 118})

	// A new part, younger than those that are there.
	elsewhere := t.TempDir()
	third := startAt(t, elsewhere, &now)
	gone := third.series(1000)
	now = now.Add(time.Second)
	gone.Remove()
	die(t, third.Store, dir)
	seenAs(t, a, w, map[string]float64{`c_total{l="x"}`: 1118})
	now = now.Add(time.Second)
	x.Remove()
	for range 2 {
		seenAs(t, a, w, map[string]float64{})
	}
}

// TestOnlyRemovedParts: values also move in a file that has only removed series.
func TestOnlyRemovedParts(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1000, 0)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	stays, removes := startAt(t, dir, &now), startAt(t, dir, &now)
	stays.series(5)
	held := removes.series(3)
	now = now.Add(time.Second)
	held.Remove()
	want := 8.0
	for range 3 {
		require.Equal(t, map[string]float64{`c_total{l="x"}`: want}, gather(t, a))
		held.Words()[mpm.CellCounterInts]++
		want++
	}
	again := removes.series(1000) // in other space, because somebody holds the first one
	require.Equal(t, map[string]float64{`c_total{l="x"}`: want + 1000}, gather(t, a))
	again.Words()[mpm.CellCounterInts]++
	require.Equal(t, map[string]float64{`c_total{l="x"}`: want + 1001}, gather(t, a))
}

// TestRemovalAfterAListing: a removal after the listing ends no life in that scrape. It does
// in the next one, even if nothing else has changed.
func TestRemovalAfterAListing(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Add(-time.Hour)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	p := startAt(t, dir, &now)
	s := p.series(5)
	require.Equal(t, map[string]float64{`c_total{l="x"}`: 5}, gather(t, a))
	now = time.Now().Add(200 * time.Millisecond)
	s.Remove()
	require.Equal(t, map[string]float64{`c_total{l="x"}`: 5}, gather(t, a))
	require.Eventually(t, func() bool { return len(gather(t, a)) == 0 }, 10*time.Second, time.Millisecond)
}

// TestProcessesLeaveRetiredParts: who asks for the processes has no part placed again that
// counts no more, of which a directory may have very many.
func TestProcessesLeaveRetiredParts(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1000, 0)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	p := startAt(t, dir, &now)
	p.series(5)
	gone, err := p.AddSeries(p.family, []string{"y"}, nil)
	require.NoError(t, err)
	now = now.Add(time.Second)
	gone.Remove()
	layout := func() (layout uint64) {
		views.Show(context.Background(), a, func(families []views.Family, err error) {
			require.NoError(t, err)
			require.Len(t, families, 1)
			layout = families[0].Layout
		})
		return layout
	}
	layout()
	was := layout()
	_, err = a.Processes()
	require.NoError(t, err)
	require.Equal(t, was, layout())
}
