package glance

import (
	"math"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/record"
)

// TestRecordedTrends: the trends are those of a recording, if there is one: in place of what
// looks have seen, or before it.
func TestRecordedTrends(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(10_000, 0)
	clock := func() time.Time { return now }
	a, err := aggregate.Open(dir, aggregate.Options{Now: clock})
	require.NoError(t, err)
	defer a.Close()
	one, two := newStore(t, dir, "0", time.Unix(9_000, 0)), newStore(t, dir, "1", time.Unix(9_000, 0))
	at := filepath.Join(t.TempDir(), "r")
	recorder, err := record.Open(at, a, record.Options{Keep: 30 * time.Second, Now: clock})
	require.NoError(t, err)
	defer recorder.Close()
	for range 20 {
		require.NoError(t, recorder.Tick(t.Context()))
		now = now.Add(time.Second)
		one.count(3, 1)
		two.count(1, 0)
	}
	require.NoError(t, recorder.Tick(t.Context()))

	p, err := New(a, Options{Now: clock, Trends: recorder.Trends}).Look(t.Context())
	require.NoError(t, err)
	require.Nil(t, p.Families[0].Rate, "one look has none")
	require.Len(t, p.Families[0].History, 21)
	require.EqualValues(t, 4, p.Families[0].History[20])
	require.EqualValues(t, 4, p.Workers[0].History[20])
	require.EqualValues(t, 1, p.Workers[1].History[20])

	before, err := record.ReadTrends(at, 2*time.Second, 12)
	require.NoError(t, err)
	w := New(a, Options{Now: clock, Before: &before})
	p, err = w.Look(t.Context())
	require.NoError(t, err)
	n := len(p.Families[0].History)
	require.Greater(t, n, 8)
	now = now.Add(2 * time.Second)
	one.count(20, 0)
	p, err = w.Look(t.Context())
	require.NoError(t, err)
	require.Equal(t, append(before.Family("jobs")[:n:n], 10), p.Families[0].History)
	require.Equal(t, append(before.Process(p.Workers[0].key)[:n:n], 10), p.Workers[0].History)

	now = now.Add(time.Hour) // a recording that has ended long ago says nothing of now
	p, err = New(a, Options{Now: clock, Before: &before}).Look(t.Context())
	require.NoError(t, err)
	require.Empty(t, p.Families[0].History)
}

// TestSparkline: a gap where nothing is known, and no points inside a level line.
func TestSparkline(t *testing.T) {
	drawn := func(values ...float64) []string {
		b := &builder{}
		b.sparkline("rate", values)
		var lines []string
		for _, m := range regexp.MustCompile(`points="([^"]*)"`).FindAllStringSubmatch(b.String(), -1) {
			lines = append(lines, m[1])
		}
		return lines
	}
	nan := math.NaN()
	require.Equal(t, []string{"0,22 60,2"}, drawn(0, 1))
	require.Equal(t, []string{"0,12 45,12 60,2"}, drawn(1, 1, 1, 1, 2))
	require.Equal(t, []string{"0,22 60,22"}, drawn(0, 0, 0, 0, 0, 0, 0))
	require.Equal(t, []string{"0,2 20,2", "60,2"}, drawn(1, 1, nan, 1))
	require.Empty(t, drawn(1))
	require.Empty(t, drawn(nan, nan))
	b := &builder{}
	b.sparkline(`<"rate">`, []float64{1, nan})
	require.Contains(t, b.String(), `aria-label="&lt;&#34;rate&#34;&gt;, now unknown"`)
}
