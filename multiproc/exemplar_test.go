package multiproc_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// exemplarOf returns the exemplar of a sample, or nil.
func exemplarOf(t *testing.T, g gather.Gatherer, sample string) (x *metric.Exemplar) {
	t.Helper()
	families, err := g.Gather(context.Background())
	require.NoError(t, err)
	for _, f := range families {
		for s := range f.Samples() {
			if s.Name+s.Labels.String() == sample {
				x = s.Exemplar
			}
		}
	}
	return x
}

func TestExemplars(t *testing.T) {
	clock := time.Unix(1700000000, 500)
	s := multiproc.NewSet(multiproc.SetOptions{Now: func() time.Time { return clock }})
	view := registry.Instruments(s)
	c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	h := multiproc.MustNew(s.NewHistogramVec(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{1, 2}}, []string{"l"})).WithLabelValues("x")
	trace := multiproc.Labels{"trace_id": "abc", "span_id": ""}
	labels := metric.MakeLabels("span_id", "", "trace_id", "abc")

	c.AddWithExemplar(2.5, trace)
	require.Equal(t, &metric.Exemplar{Labels: labels, Value: 2.5, Timestamp: clock}, exemplarOf(t, view, "c_total"))
	h.ObserveWithExemplar(2, trace)
	h.ObserveWithExemplar(math.NaN(), multiproc.Labels{"a": "b"})
	require.Equal(t, &metric.Exemplar{Labels: labels, Value: 2, Timestamp: clock}, exemplarOf(t, view, `h_bucket{l="x",le="2"}`))
	require.Nil(t, exemplarOf(t, view, `h_bucket{l="x",le="1"}`))
	require.Equal(t, metric.MakeLabels("a", "b"), exemplarOf(t, view, `h_bucket{l="x",le="+Inf"}`).Labels)

	clock = clock.Add(time.Second)
	c.AddWithExemplar(1, nil)
	c.AddWithExemplar(1, multiproc.Labels{})
	c.Inc()
	require.Equal(t, 2.5, exemplarOf(t, view, "c_total").Value, "an update without an exemplar leaves the old one")
	c.AddWithExemplar(1, multiproc.Labels{"trace_id": "new"})
	require.Equal(t, &metric.Exemplar{Labels: metric.MakeLabels("trace_id", "new"), Value: 1, Timestamp: clock}, exemplarOf(t, view, "c_total"))
	c.Reset()
	require.Nil(t, exemplarOf(t, view, "c_total"))
}

// TestBadExemplars: what cannot be an exemplar is dropped and counted, and the
// update counts.
func TestBadExemplars(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	view := registry.Instruments(s)
	c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	h := multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{1}}))
	for i, bad := range []multiproc.Labels{
		{"a": strings.Repeat("é", openmetrics.MaxExemplarRunes)},
		{"": "x"},
		{"__name__": "x"},
		{"a": "\xff"},
		{"\xff": "a"},
	} {
		c.AddWithExemplar(1, bad)
		h.ObserveWithExemplar(0.5, bad)
		got := samples(t, view)
		require.EqualValues(t, i+1, got["c_total"])
		require.EqualValues(t, i+1, got["h_count"])
		require.EqualValues(t, 2*(i+1), got["multiprom_invalid_updates_total"])
		require.Nil(t, exemplarOf(t, view, "c_total"))
		require.Nil(t, exemplarOf(t, view, `h_bucket{le="1"}`))
	}
	longest := multiproc.Labels{"a": strings.Repeat("é", openmetrics.MaxExemplarRunes-1)}
	c.AddWithExemplar(1, longest)
	require.Equal(t, metric.LabelsFromMap(longest), exemplarOf(t, view, "c_total").Labels)
	c.AddWithExemplar(-1, multiproc.Labels{"a": "of no update"})
	require.Equal(t, metric.LabelsFromMap(longest), exemplarOf(t, view, "c_total").Labels)
}

// TestExemplarsGoNowhere: where an update goes nowhere, so does its exemplar.
func TestExemplarsGoNowhere(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	view := registry.Instruments(s)
	v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	v.WithLabelValues("too", "many").AddWithExemplar(1, multiproc.Labels{"a": "b"})
	removed := v.WithLabelValues("x")
	removed.AddWithExemplar(1, multiproc.Labels{"a": "b"})
	v.DeleteLabelValues("x")
	removed.AddWithExemplar(1, multiproc.Labels{"a": "c"})
	require.Nil(t, exemplarOf(t, view, `c_total{l="x"}`))
	require.NoError(t, s.Close())
	v.WithLabelValues("late").AddWithExemplar(1, multiproc.Labels{"a": "b"})
}

func TestTimerWithExemplar(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	h := multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{60}}))
	multiproc.NewTimer(h).ObserveDurationWithExemplar(multiproc.Labels{"a": "b"})
	require.Equal(t, metric.MakeLabels("a", "b"), exemplarOf(t, registry.Instruments(s), `h_bucket{le="60"}`).Labels)
	g := multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G."}))
	g.Set(-1)
	multiproc.NewTimer(multiproc.ObserverFunc(g.Set)).ObserveDurationWithExemplar(multiproc.Labels{"a": "b"})
	require.GreaterOrEqual(t, samples(t, registry.Instruments(s))["g"], 0.0, "who takes no exemplar observes without")
}

func TestExemplarsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := multiproc.NewSet(multiproc.SetOptions{})
	c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	h := multiproc.MustNew(s.NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H."}))
	trace := multiproc.Labels{"trace_id": "0123456789abcdef0123456789abcdef", "span_id": "0123456789abcdef"}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.AddWithExemplar(1, trace)
		h.ObserveWithExemplar(1, trace)
	}))
}
