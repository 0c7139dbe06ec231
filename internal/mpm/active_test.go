package mpm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

func ttlSchema(name string, t metric.Type, mode metric.Mode) *metric.Schema {
	s := &metric.Schema{Name: name, Help: "H.", Type: t, Mode: mode, Labels: []string{"l"}, TTL: time.Minute}
	if t == metric.StateSet {
		s.States = []string{"a", "b"}
	}
	return s
}

// TestSchemaWithTTL: the TTL is in the file, and not of what never expires.
func TestSchemaWithTTL(t *testing.T) {
	for _, tc := range []struct {
		schema        *metric.Schema
		want          time.Duration
		words, values int
	}{
		{ttlSchema("c", metric.Counter, 0), time.Minute, 2, 2},
		{ttlSchema("g", metric.Gauge, metric.ModeSum), time.Minute, 2, 1},
		{ttlSchema("r", metric.Gauge, metric.ModeMostRecent), time.Minute, 5, 2},
		{ttlSchema("s", metric.StateSet, metric.ModeLiveAll), time.Minute, 2, 1},
		{ttlSchema("i", metric.Info, 0), 0, 0, 0},
		{&metric.Schema{Name: "n", Help: "N.", Type: metric.Gauge, TTL: time.Minute}, 0, 1, 1},
	} {
		rec, err := encodeFamily(1, tc.schema)
		require.NoError(t, err)
		_, got, err := decodeFamily(rec)
		require.NoError(t, err)
		require.Equal(t, tc.want, got.TTL, tc.schema.Name)
		require.Equal(t, tc.words, WordsPerSeries(got), tc.schema.Name)
		require.Equal(t, tc.values, ValuesPerSeries(got), tc.schema.Name)
	}
}

// TestActive: a reader knows when a series was last seen to change.
func TestActive(t *testing.T) {
	now := time.Unix(1000, 0)
	s := NewHeap(Options{Now: func() time.Time { return now }})
	require.Zero(t, loadWord(s.first, offBootTime), "the clock is an option")
	family, err := s.AddSchema(ttlSchema("c", metric.Counter, 0))
	require.NoError(t, err)
	other, err := s.AddSchema(&metric.Schema{Name: "o", Help: "O.", Type: metric.Counter, Labels: []string{"l"}})
	require.NoError(t, err)
	now = now.Add(time.Hour)
	h, err := s.AddSeries(family, []string{"x"}, nil)
	require.NoError(t, err)
	_, err = s.AddSeries(other, []string{"x"}, nil)
	require.NoError(t, err)

	r := s.Reader(nil)
	var live, removed []uint64
	read := func() SeriesList {
		reading, err := r.Read(live, removed, nil)
		require.NoError(t, err)
		l := r.List()
		live = reading.Live.Apply(live, &l)
		return l
	}
	near := func(l SeriesList, want time.Time) {
		t.Helper()
		require.InDelta(t, want.UnixNano(), l.ActiveNanos(0), 1<<activeShift)
		info := l.At(0)
		require.InDelta(t, want.UnixNano(), info.Active().UnixNano(), 1<<activeShift)
	}
	l := read()
	near(l, now)
	require.Zero(t, l.ActiveNanos(1), "it has no TTL")
	info := l.At(1)
	require.True(t, info.Active().IsZero())

	// Nothing but active changes.
	now = now.Add(time.Hour)
	storeState(s.record(h.at), offSerActive, s.active())
	near(read(), now)

	// A new life, of which the gen does not tell yet: the old one keeps its active.
	before := now
	now = now.Add(time.Hour)
	created := s.newCreated(now)
	storeWord(s.record(h.at), offSerCreated, uint64(created))
	storeState(s.record(h.at), offSerActive, s.active())
	l = read()
	near(l, before)
	require.NotEqual(t, created, l.CreatedNanos(0))
	l = read()
	near(l, now)
	require.Equal(t, created, l.CreatedNanos(0))
}

// TestActiveWhenTheClockIsSet: the wall clock is set, and a series is as old as before.
func TestActiveWhenTheClockIsSet(t *testing.T) {
	wall, boot, ok := clocks()
	if !ok {
		t.Skip("there is no clock since boot")
	}
	s := NewHeap(Options{})
	require.NotZero(t, loadWord(s.first, offBootTime))
	family, err := s.AddSchema(ttlSchema("c", metric.Counter, 0))
	require.NoError(t, err)
	_, err = s.AddSeries(family, []string{"x"}, nil)
	require.NoError(t, err)
	r := s.Reader(nil)
	for _, set := range []time.Duration{0, time.Hour, -10 * time.Hour, 50 * time.Millisecond, 400 * time.Millisecond, 0} {
		r.clocks = func() (int64, int64, bool) {
			wall, boot, _ = clocks()
			return wall + int64(set), boot, true
		}
		require.NoError(t, r.Refresh())
		list := r.List()
		age := wall + int64(set) - list.ActiveNanos(0)
		require.InDelta(t, 0, age, float64(20*time.Second), set) // the series is new
	}
	// What is too small to be noticed does not make times jitter.
	before := r.set
	r.clocks = func() (int64, int64, bool) { return wall + 60e6, boot, true }
	require.Equal(t, before, r.clockSet())
}

func TestActiveUnits(t *testing.T) {
	require.Zero(t, activeUnits(-1))
	require.Zero(t, activeUnits(0))
	require.Equal(t, uint32(1), activeUnits(1))
	require.Equal(t, uint32(1), activeUnits(1<<activeShift))
	require.Equal(t, uint32(2), activeUnits(1<<activeShift+1))
	require.Equal(t, uint32(1<<32-1), activeUnits(1<<62))
}

// TestActiveInTheFuture: Verify finds series that would expire late.
func TestActiveInTheFuture(t *testing.T) {
	for _, tc := range []struct {
		ahead time.Duration
		found int
	}{{0, 0}, {30 * time.Second, 0}, {time.Hour, 1}} {
		s, err := Create(t.TempDir(), Options{Label: "w", Now: func() time.Time { return time.Now().Add(tc.ahead) }})
		require.NoError(t, err)
		for _, schema := range []*metric.Schema{ttlSchema("c", metric.Counter, 0), {Name: "o", Help: "O.", Type: metric.Counter, Labels: []string{"l"}}} {
			f, err := s.AddSchema(schema)
			require.NoError(t, err)
			_, err = s.AddSeries(f, []string{"x"}, nil)
			require.NoError(t, err)
		}
		problems, err := Verify(s.Path(), ReadOptions{})
		require.NoError(t, err)
		require.Len(t, problems, tc.found)
		if tc.found > 0 {
			require.ErrorContains(t, &problems[0], "a series of c was active last in")
		}
		require.NoError(t, s.Close())
	}
}
