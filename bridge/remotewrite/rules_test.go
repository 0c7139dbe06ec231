package remotewrite

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

// TestStart: no sample is older than its start time, and none is older than one before. A series
// may begin while the view is read.
func TestStart(t *testing.T) {
	r := newReceiver(t, takes)
	at := clock()
	created := func(name string, ms int64) *metric.Family {
		return &metric.Family{Name: name, Type: metric.Counter, Series: []metric.Series{{Value: 1, Created: time.UnixMilli(now + ms)}}}
	}
	own := created("own", 0)
	own.Series[0].Timestamp = time.UnixMilli(now - 1)
	slow := gather.Func(func(context.Context) ([]*metric.Family, error) {
		at = at.Add(10 * time.Millisecond)
		return []*metric.Family{created("before", 0), created("during", 5), created("later", 11), own}, nil
	})
	opts := Options{Protocol: "2.0"}
	opts.URL, opts.Now = r.URL, func() time.Time { return at }
	w := writer(t, opts)
	require.NoError(t, w.Push(t.Context(), slow))
	require.NoError(t, w.Push(t.Context(), slow))
	require.Equal(t, []got{
		{"before_total", "1", now, now, "", "1"},
		{"during_total", "1", now + 5, now + 5, "", "1"},
		{"later_total", "1", now, 0, "", "1"},
		{"own_total", "1", now - 1, 0, "", "1"},
	}, r.all()[0].samples)
	require.Equal(t, []got{
		{"before_total", "1", now + 11, now, "", "1"},
		{"during_total", "1", now + 11, now + 5, "", "1"},
		{"later_total", "1", now + 11, now + 11, "", "1"},
		{"own_total", "1", now - 1, 0, "", "1"},
	}, r.all()[1].samples, "a round begins after all times of the round before")
}

// TestMarkersOfAnotherType: a family that has another type gets markers for the samples that it
// has no more, and none for a name that is in use.
func TestMarkersOfAnotherType(t *testing.T) {
	native := &metric.NativeHistogram{Positive: []metric.Span{{Counts: []uint64{1}}}}
	histogram := &metric.Family{Name: "x", Type: metric.Histogram, Series: []metric.Series{
		{Count: 1, Native: native, Buckets: metric.Cumulate([]float64{1}, []uint64{1, 0})},
	}}
	gauge := &metric.Family{Name: "x", Type: metric.Gauge, Series: []metric.Series{{Value: 1}}}
	sum := &metric.Family{Name: "x_sum", Type: metric.Gauge, Series: []metric.Series{{Value: 2}}}
	for _, version := range []string{"2.0", "1.0"} {
		r := newReceiver(t, takes)
		opts := Options{Protocol: version, NativeHistograms: "always"}
		opts.URL = r.URL
		w := writer(t, opts)
		require.NoError(t, w.Push(t.Context(), of(histogram)))
		before := len(r.all())
		require.NoError(t, w.Push(t.Context(), of(gauge, sum)))
		require.Equal(t, []string{
			"x 1", "x_sum 2", `x_bucket{le="1.0"} stale`, `x_bucket{le="+Inf"} stale`, "x_count stale",
		}, lines(r.all()[before]), version)
	}
}

// TestEmptyState: a label without a value is no label.
func TestEmptyState(t *testing.T) {
	for _, version := range []string{"2.0", "1.0"} {
		r := newReceiver(t, takes)
		opts := Options{Protocol: version}
		opts.URL = r.URL
		states := []metric.State{{Name: "on"}, {On: true}, {Name: "off"}}
		require.NoError(t, writer(t, opts).Push(t.Context(), of(&metric.Family{Name: "s", Type: metric.StateSet, Series: []metric.Series{{States: states}}})))
		require.Equal(t, []string{`s{s="on"} 0`, "s 1", `s{s="off"} 0`}, lines(r.all()[0]), version)
	}
}
