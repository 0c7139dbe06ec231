package glance

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// store is a process with one counter and one histogram.
type store struct {
	*mpm.Store
	jobs, seconds *mpm.Series
}

func newStore(t *testing.T, dir, label string, created time.Time) *store {
	t.Helper()
	s, err := mpm.Create(dir, mpm.Options{Label: label, Now: func() time.Time { return created }})
	require.NoError(t, err)
	out := &store{Store: s}
	add := func(schema *metric.Schema, values ...string) *mpm.Series {
		f, err := s.AddSchema(schema)
		require.NoError(t, err)
		series, err := s.AddSeries(f, values, nil)
		require.NoError(t, err)
		return series
	}
	out.jobs = add(&metric.Schema{Name: "jobs", Help: "Jobs.", Type: metric.Counter, Labels: []string{"queue"}}, label)
	out.seconds = add(&metric.Schema{Name: "seconds", Help: "S.", Type: metric.Histogram, Bounds: []float64{1}})
	return out
}

func (s *store) count(jobs, observations uint64) {
	atomic.AddUint64(&s.jobs.Words()[mpm.CellCounterInts], jobs)
	atomic.AddUint64(&s.seconds.Words()[mpm.CellHistogramBuckets], observations)
}

// TestLook: rates, shares and silence, from one look to the next.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(10_000, 0)
	clock := func() time.Time { return now }
	a, err := aggregate.Open(dir, aggregate.Options{Now: clock})
	require.NoError(t, err)
	defer a.Close()
	w := New(a, Options{Now: clock, Values: 1, MinInterval: time.Second})
	one, two := newStore(t, dir, "0", time.Unix(9_000, 0)), newStore(t, dir, "1", time.Unix(9_990, 0))
	one.count(500, 500)

	p, err := w.Look(t.Context())
	require.NoError(t, err)
	require.Zero(t, p.Seconds)
	require.Len(t, p.Workers, 2)
	require.EqualValues(t, 1000, *p.Workers[0].Age)
	require.Nil(t, p.Workers[0].Share, "nothing is known to compare with")
	require.Nil(t, p.Families[0].Rate)
	require.Equal(t, 3, p.Series)
	again, err := w.Look(t.Context())
	require.NoError(t, err)
	require.Same(t, p, again)

	now = now.Add(10 * time.Second)
	one.count(30, 10)
	two.count(10, 30)
	p, err = w.Look(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 10, p.Seconds)
	require.Equal(t, "jobs", p.Families[0].Name)
	require.EqualValues(t, 4, *p.Families[0].Rate)
	require.EqualValues(t, 4, *p.Families[1].Rate)
	require.EqualValues(t, 0.2, *p.Families[0].Changes, "two series in 10 s")
	require.EqualValues(t, 0.5, *p.Workers[0].Share, "the mean of 3/4 and 1/4")
	require.Equal(t, map[string]float64{"jobs": 3, "seconds": 1}, p.Workers[0].Rates)
	require.Equal(t, []LabelValues{{"queue", 2, []LabelValue{{"0", 1}}}}, p.Families[0].Values)
	require.Positive(t, p.Families[0].Bytes)
	require.Equal(t, 2, p.Families[0].Processes)
	require.True(t, p.Health.OK)

	// A new worker counts from its beginning; one that is silent is named.
	now = now.Add(40 * time.Second)
	three := newStore(t, dir, "2", now.Add(-20*time.Second))
	three.count(40, 0)
	two.count(0, 1)
	p, err = w.Look(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, *p.Families[0].Rate)
	require.EqualValues(t, 0.5, *p.Workers[2].Share, "all of jobs, nothing of seconds")
	require.EqualValues(t, 40, p.Workers[0].Unchanged)
	require.True(t, p.Workers[0].Silent)
	require.False(t, p.Workers[1].Silent)
	require.Equal(t, []string{"0"}, p.Health.Silent)
	require.False(t, p.Health.OK)
	require.Equal(t, []float64{4, 1}, p.Families[0].History)

	// If nobody changes anything, nobody is silent.
	now = now.Add(time.Hour)
	p, err = w.Look(t.Context())
	require.NoError(t, err)
	require.Empty(t, p.Health.Silent)
	require.Zero(t, *p.Families[0].Rate)
	require.Nil(t, p.Workers[0].Share, "of nothing")

	// A counter that falls, as one that was reset, has no rate.
	atomic.StoreUint64(&one.jobs.Words()[mpm.CellCounterInts], 0)
	now = now.Add(time.Second)
	p, err = w.Look(t.Context())
	require.NoError(t, err)
	require.Zero(t, *p.Families[0].Rate)
}

func TestHistoryIsBounded(t *testing.T) {
	var h []float64
	for i := range 3 * historyLen {
		h = appendHistory(h, float64(i))
	}
	require.Len(t, h, historyLen)
	require.EqualValues(t, 3*historyLen-1, h[historyLen-1])
	require.EqualValues(t, 2*historyLen, h[0])
}

func TestShortNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.001: "<.01", 0.5: "0.50", 0.999: "1.0", 7.46: "7.5", 9.96: "10", 999.4: "999", 999.6: "1.0k", 12345: "12k", 1e6: "1.0M", 999_600: "1.0M", 3e18: "3.0E", -1500: "-1.5k",
	} {
		require.Equal(t, want, Short(v))
	}
	require.Equal(t, "999", ShortCount(999))
	require.Equal(t, "59s", Duration(59.9))
	require.Equal(t, "2d", Duration(200_000))
}
