package aggregate

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
)

// seenAs checks what is shown, and that what is said not to have changed has not.
func seenAs(t *testing.T, a *Aggregator, w *watched, want map[string]float64) {
	t.Helper()
	views.Show(context.Background(), a, func(families []views.Family, err error) {
		require.NoError(t, err)
		require.Equal(t, want, flatten(views.Whole(families)))
		w.look(t, families)
	})
}

// TestRemovedPartsCountOn: what a process has removed stays in the sum while another one
// has the series, moves with what is still added to it, and goes with its file.
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

	held.Words()[mpm.CellCounterInts] += 10 // by who holds it
	seenAs(t, a, w, map[string]float64{`c_total{l="x"}`: 18})
	x.Words()[mpm.CellCounterInts] += 100
	seenAs(t, a, w, map[string]float64{`c_total{l="x"}`: 118})

	// A part that comes, and is younger than what is there.
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

// TestOnlyRemovedParts: the values of a file that has no series but removed ones move as
// well.
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
	again := removes.series(1000) // in another place, since somebody holds that of the first
	require.Equal(t, map[string]float64{`c_total{l="x"}`: want + 1000}, gather(t, a))
	again.Words()[mpm.CellCounterInts]++
	require.Equal(t, map[string]float64{`c_total{l="x"}`: want + 1001}, gather(t, a))
}

// TestRemovalAfterAListing: a removal later than the listing ends no life in that
// scrape, and does in the next one although nothing else has changed.
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
