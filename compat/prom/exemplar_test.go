package prom_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/multiproc"
)

// TestExemplars of two processes: each shows its own, as client_golang does, and
// the merged view the newest of each bucket, of those that have labels.
func TestExemplars(t *testing.T) {
	dir := t.TempDir()
	var set *multiproc.Set
	var counters []prometheus.Counter
	var histograms []prometheus.Histogram
	for range 2 {
		set = multiproc.NewSet(multiproc.SetOptions{Dir: dir})
		f := prom.New(set, prom.Options{})
		counters = append(counters, f.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}))
		histograms = append(histograms, f.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1}}))
		t.Cleanup(func() { require.NoError(t, set.Close()) })
	}
	trace := func(id string) prometheus.Labels { return prometheus.Labels{"trace_id": id} }
	add := func(i int, v float64, labels prometheus.Labels) {
		counters[i].(prometheus.ExemplarAdder).AddWithExemplar(v, labels)
		histograms[i].(prometheus.ExemplarObserver).ObserveWithExemplar(v, labels)
	}
	add(0, 0.5, trace("old"))
	add(1, 0.25, trace("new"))
	add(0, 7, trace("high"))
	add(1, 1, nil)
	add(1, 9, prometheus.Labels{}) // an exemplar, without labels

	id := func(x *dto.Exemplar) string {
		if x == nil {
			return "none"
		}
		require.NotNil(t, x.Timestamp)
		if len(x.Label) == 0 {
			return "empty"
		}
		return x.Label[0].GetValue()
	}
	ids := func(counter, histogram *dto.Metric) (out []string) {
		out = append(out, id(counter.Counter.Exemplar))
		for _, b := range histogram.Histogram.Bucket {
			out = append(out, id(b.Exemplar))
		}
		return out
	}
	for i, want := range [][]string{{"high", "old", "high"}, {"empty", "new", "empty"}} {
		var c, h dto.Metric
		require.NoError(t, counters[i].Write(&c))
		require.NoError(t, histograms[i].Write(&h))
		require.Equal(t, want, ids(&c, &h))
	}
	families, err := directory(t, set).Gather()
	require.NoError(t, err)
	byName := map[string]*dto.Metric{}
	for _, f := range families {
		byName[f.GetName()] = f.Metric[0]
	}
	require.Equal(t, []string{"high", "new", "high"}, ids(byName["c_total"], byName["h"]))
	require.Equal(t, 17.75, byName["c_total"].Counter.GetValue())
}
