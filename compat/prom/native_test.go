package prom_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/multiprom/multiprom/compat/prom"
)

// nativeParts returns the native buckets of a histogram and what must agree with them.
func nativeParts(h *dto.Histogram) *dto.Histogram {
	out := &dto.Histogram{
		SampleCount: h.SampleCount, Schema: h.Schema, ZeroThreshold: h.ZeroThreshold, ZeroCount: h.ZeroCount,
		PositiveSpan: h.PositiveSpan, PositiveDelta: h.PositiveDelta, NegativeSpan: h.NegativeSpan, NegativeDelta: h.NegativeDelta,
	}
	for _, b := range h.Bucket {
		if !math.IsInf(b.GetUpperBound(), 1) { // in the merged view always, in one process only with an exemplar
			out.Bucket = append(out.Bucket, &dto.Bucket{CumulativeCount: b.CumulativeCount, UpperBound: b.UpperBound})
		}
	}
	return out
}

// TestNativeHistogramsAreTheirs: of the same observations, client_golang's native histogram, one
// over a store and the merged view as a prometheus.Gatherer have the same buckets.
func TestNativeHistogramsAreTheirs(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		opts := prometheus.HistogramOpts{
			Name: "h", Help: "h", NativeHistogramMaxBucketNumber: 1024,
			NativeHistogramBucketFactor:  []float64{1.02, 1.1, 1.5, 2, 300}[rnd.IntN(5)],
			NativeHistogramZeroThreshold: []float64{0, prometheus.NativeHistogramZeroThresholdZero, 0.01}[rnd.IntN(3)],
		}
		if rnd.IntN(2) == 0 {
			opts.Buckets = []float64{0.1, 1, 10}
		}
		f, set := newFactory(t, prom.Options{})
		genuine := prometheus.NewHistogramVec(opts, []string{"l"})
		ours := f.NewHistogramVec(opts, []string{"l"})
		for range rnd.IntN(300) {
			x := math.Exp(rnd.NormFloat64())
			switch rnd.IntN(20) {
			case 0:
				x = 0
			case 1, 2, 3:
				x = -x
			case 4:
				x = math.Inf(1)
			case 5:
				x = math.NaN()
			}
			genuine.WithLabelValues("v").Observe(x)
			ours.WithLabelValues("v").Observe(x)
		}
		genuine.WithLabelValues("v")
		ours.WithLabelValues("v")
		want, got := &dto.Metric{}, &dto.Metric{}
		require.NoError(t, genuine.WithLabelValues("v").(prometheus.Metric).Write(want))
		require.NoError(t, ours.WithLabelValues("v").(prometheus.Metric).Write(got))
		require.True(t, proto.Equal(nativeParts(want.Histogram), nativeParts(got.Histogram)), "seed %d:\nwant %v\ngot  %v", seed, want, got)
		require.Len(t, got.Histogram.Bucket, len(opts.Buckets))
		sum := want.Histogram.GetSampleSum()
		require.True(t, sum == got.Histogram.GetSampleSum() || math.IsNaN(sum) && math.IsNaN(got.Histogram.GetSampleSum()))

		families := instruments(t, set)
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "h" })
		merged := families[i].Metric[0].Histogram
		require.True(t, proto.Equal(nativeParts(want.Histogram), nativeParts(merged)), "seed %d:\nwant %v\ngot  %v", seed, want, merged)
		require.Empty(t, lossesOf(t, set))
	}
}

// TestNativeOptions: what a store cannot hold is bounded, and what has no effect is a loss.
func TestNativeOptions(t *testing.T) {
	f, set := newFactory(t, prom.Options{})
	f.NewHistogram(prometheus.HistogramOpts{
		Name: "many", Help: "h", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 1 << 20, NativeHistogramMaxExemplars: 1000,
	}).Observe(1)
	require.Empty(t, lossesOf(t, set))
	reset := f.NewHistogram(prometheus.HistogramOpts{
		Name: "reset", Help: "h", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 20, NativeHistogramMinResetDuration: 1, NativeHistogramMaxZeroThreshold: 1,
	})
	require.Equal(t, map[string]int{"native_histogram": 1}, lossesOf(t, set))
	for i := range 1000 { // many more buckets than the limit
		reset.Observe(math.Pow(1.1, float64(i-500)))
	}
	m := &dto.Metric{}
	require.NoError(t, reset.Write(m))
	require.EqualValues(t, 1000, m.Histogram.GetSampleCount(), "it was not reset")
	require.LessOrEqual(t, len(m.Histogram.PositiveDelta), 20)
	require.Less(t, m.Histogram.GetSchema(), int32(0))
}
