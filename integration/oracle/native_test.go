package oracle

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	prom "github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// unlimited: no schema is lowered.
const unlimited = 1 << 30

// observer counts values in a Total, as a writer does.
type observer struct {
	histogram.Definition
	schema int // of the next value
	total  histogram.Total
	sum    float64
}

func newObserver(d histogram.Definition) *observer {
	o := &observer{Definition: d, schema: d.Schema}
	o.total.Define(d)
	return o
}

func (o *observer) observe(x float64) {
	o.sum += x
	switch {
	case math.IsNaN(x):
		o.total.NaN++
	case math.Abs(x) <= o.Threshold:
		o.total.Zero++
	default:
		o.total.Add(o.schema, x < 0, histogram.Of(o.schema).Index(x), 1)
	}
}

// shown is what a server has after a scrape of t.
func shown(t *testing.T, total *histogram.Total, sum float64) *prom.Histogram {
	total.Fit()
	var h metric.NativeHistogram
	count, ok := total.Show(&h, math.IsNaN(sum))
	require.True(t, ok)
	require.NoError(t, histogram.Check(&h, count, sum))
	out := serverHistogram(&h, count, sum)
	require.NoError(t, out.Validate())
	return out
}

func serverHistogram(h *metric.NativeHistogram, count uint64, sum float64) *prom.Histogram {
	out := &prom.Histogram{Schema: int32(h.Schema), ZeroThreshold: h.ZeroThreshold, ZeroCount: h.ZeroCount, Count: count, Sum: sum}
	out.PositiveSpans, out.PositiveBuckets = serverSpans(h.Positive)
	out.NegativeSpans, out.NegativeBuckets = serverSpans(h.Negative)
	return out
}

func serverSpans(spans []metric.Span) (out []prom.Span, deltas []int64) {
	before := uint64(0)
	for _, s := range spans {
		out = append(out, prom.Span{Offset: int32(s.Offset), Length: uint32(len(s.Counts))})
		for _, n := range s.Counts {
			deltas = append(deltas, int64(n-before))
			before = n
		}
	}
	return out, deltas
}

// value returns values of a few decades, bounds of a schema, and what is special.
func value(rnd *rand.Rand, schema int, spread float64) float64 {
	x := math.Exp(rnd.NormFloat64() * spread)
	switch rnd.IntN(30) {
	case 0:
		x = math.Inf(1)
	case 1:
		x = math.NaN()
	case 2:
		x = 0
	case 3:
		x = math.Float64frombits(rnd.Uint64())
	case 4, 5:
		x = histogram.Of(schema).Upper(int32(rnd.IntN(2000) - 1000))
	case 6:
		x = []float64{math.MaxFloat64, math.SmallestNonzeroFloat64, 0x1p-1022, 0x1p-128, 1}[rnd.IntN(5)]
	}
	if rnd.IntN(4) == 0 {
		x = -x
	}
	return x
}

// TestBucketsAreTheirs gives client_golang the same values, of all schemas.
func TestBucketsAreTheirs(t *testing.T) {
	factors := []float64{1.002, 1.004, 1.008, 1.02, 1.03, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 20, 300, 1e6}
	schemas := map[int32]bool{}
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		factor := factors[int(seed)%len(factors)]
		opts := prometheus.HistogramOpts{NativeHistogramBucketFactor: factor}
		d := histogram.Definition{Schema: histogram.SchemaOf(factor), Limit: unlimited, Threshold: 0x1p-128}
		switch rnd.IntN(3) {
		case 0:
			opts.NativeHistogramZeroThreshold, d.Threshold = prometheus.NativeHistogramZeroThresholdZero, 0
		case 1:
			opts.NativeHistogramZeroThreshold, d.Threshold = 0.01, 0.01
		}
		theirs, ours := prometheus.NewHistogram(opts), newObserver(d)
		spread := rnd.Float64() * 6
		for range rnd.IntN(300) {
			x := value(rnd, d.Schema, spread)
			theirs.Observe(x)
			ours.observe(x)
		}
		var m dto.Metric
		require.NoError(t, theirs.Write(&m))
		want, got := m.Histogram, shown(t, &ours.total, ours.sum)
		schemas[want.GetSchema()] = true
		require.Equal(t, want.GetSchema(), got.Schema)
		require.Equal(t, want.GetZeroThreshold(), got.ZeroThreshold)
		require.Equal(t, want.GetZeroCount(), got.ZeroCount)
		require.Equal(t, want.GetSampleCount(), got.Count)
		if len(want.PositiveSpan)+len(want.NegativeSpan) == 1 && want.PositiveSpan != nil && want.PositiveSpan[0].GetLength() == 0 {
			want.PositiveSpan = nil // it says that the histogram is native
		}
		require.Equal(t, theirSpans(want.PositiveSpan), got.PositiveSpans)
		require.Equal(t, theirSpans(want.NegativeSpan), got.NegativeSpans)
		require.Equal(t, want.PositiveDelta, got.PositiveBuckets)
		require.Equal(t, want.NegativeDelta, got.NegativeBuckets)
	}
	require.Len(t, schemas, histogram.MaxSchema-histogram.MinSchema+1)
}

func theirSpans(spans []*dto.BucketSpan) (out []prom.Span) {
	for _, s := range spans {
		out = append(out, prom.Span{Offset: s.GetOffset(), Length: s.GetLength()})
	}
	return out
}

// TestMergeIsTheirs merges processes of mixed definitions, some of which lower their schema:
// what is shown is what a server's own arithmetic makes of the parts, bit for bit, and no
// view on the way is a counter reset to it.
func TestMergeIsTheirs(t *testing.T) {
	thresholds := []float64{0, 0x1p-128, 0.001, 0.3, 1, 3}
	widened, coarser, lowered, negative, mixed := 0, 0, 0, 0, 0
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		spread := rnd.Float64() * 6
		common := histogram.Definition{Schema: rnd.IntN(9), Limit: []int{20, 160, 1024}[rnd.IntN(3)], Threshold: 0x1p-128}
		parts := make([]*observer, 1+rnd.IntN(6))
		for i := range parts {
			d := common
			if rnd.IntN(2) == 0 { // what a deploy has changed
				d = histogram.Definition{
					Schema: histogram.MinSchema + rnd.IntN(histogram.MaxSchema-histogram.MinSchema+1), Limit: []int{5, 40, 160}[rnd.IntN(3)],
					Threshold: thresholds[rnd.IntN(len(thresholds))],
				}
				mixed++
			}
			parts[i] = newObserver(d)
		}

		// Views, while the parts observe in turn.
		merged := func() (total histogram.Total, sum float64) {
			for _, p := range parts {
				total.Merge(&p.total)
				sum += p.sum
			}
			return total, sum
		}
		var last *prom.FloatHistogram
		for range 20 {
			for range 1 + rnd.IntN(40) {
				p := parts[rnd.IntN(len(parts))]
				p.observe(value(rnd, p.schema, spread))
				if rnd.IntN(100) == 0 && p.schema > histogram.MinSchema {
					p.schema-- // as a writer does that runs out of regions
				}
			}
			total, sum := merged()
			view := shown(t, &total, sum).ToFloat(nil)
			if last != nil {
				require.False(t, view.DetectReset(last), "seed %d: %s after %s", seed, view, last)
			}
			last = view
		}

		total, sum := merged()
		coarsest := total.Schema()
		got := shown(t, &total, sum)
		var want *prom.FloatHistogram
		for _, p := range parts {
			d := p.Definition
			d.Limit = unlimited
			var one histogram.Total
			one.Define(d)
			one.Zero, one.NaN = p.total.Zero, p.total.NaN
			for _, neg := range []bool{false, true} {
				for _, b := range p.total.Buckets(neg) {
					one.Add(p.total.Schema(), neg, b.Index, b.Count)
				}
			}
			h := shown(t, &one, sum).ToFloat(nil) // NaN is part of each count, or of none
			if h.Schema > got.Schema {
				require.NoError(t, h.ReduceResolution(got.Schema))
			}
			if want == nil {
				want = h
				continue
			}
			var err error
			want, _, _, err = want.Add(h)
			require.NoError(t, err)
		}
		if want.ZeroThreshold < got.ZeroThreshold {
			// The largest threshold is inside a bucket that only parts with that threshold
			// have populated. We do not know that, so we widen, by less than a bucket.
			bounds := histogram.Of(int(got.Schema))
			require.Equal(t, bounds.Upper(bounds.Index(want.ZeroThreshold)), got.ZeroThreshold)
			_, _, _, err := want.Add(&prom.FloatHistogram{Schema: got.Schema, ZeroThreshold: got.ZeroThreshold})
			require.NoError(t, err)
			coarser++
		}
		want.Sum = got.Sum // the order of addition decides about its last bit
		require.True(t, want.Compact(0).Equals(got.ToFloat(nil).Compact(0)), "seed %d:\nwant %s\ngot  %s", seed, want, got.ToFloat(nil))
		if !slices.Contains(thresholds, got.ZeroThreshold) {
			widened++
		}
		if total.Schema() < coarsest {
			lowered++
		}
		if len(got.NegativeBuckets) > 0 {
			negative++
		}
	}
	// The rounds had what they are for.
	for _, n := range []int{widened, lowered, negative, mixed} {
		require.Greater(t, n, 30)
	}
	require.Less(t, coarser, 10)
}

// TestBoundsAreTheirs compares every bound of every schema that a value can have.
func TestBoundsAreTheirs(t *testing.T) {
	for schema := histogram.MinSchema; schema <= histogram.MaxSchema; schema++ {
		first, last := histogram.Range(schema)
		bounds := histogram.Of(schema)
		h := &prom.Histogram{Schema: int32(schema), PositiveSpans: []prom.Span{{Offset: first, Length: uint32(last - first + 1)}}}
		h.PositiveBuckets = make([]int64, last-first+1)
		it := h.PositiveBucketIterator()
		for i := first; i <= last; i++ {
			require.True(t, it.Next())
			b := it.At()
			if b.Index != i || b.Upper != bounds.Upper(i) || b.Lower != bounds.Upper(i-1) {
				require.Fail(t, "another bound", "schema %d: bucket %d: %v, not %v", schema, i, bounds.Upper(i), b)
			}
		}
	}
}

// The price of an observation beside client_golang's: a lognormal over a decade, at the
// default resolution of most programs.
func BenchmarkObserve(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 1))
	xs := make([]float64, 4096)
	for i := range xs {
		xs[i] = math.Exp(rnd.NormFloat64() * math.Ln10)
	}
	b.Run("client_golang", func(b *testing.B) {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160})
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			h.Observe(xs[n%len(xs)])
		}
	})
	b.Run("recorder", func(b *testing.B) {
		var cells [histogram.Cells]uint64
		var r histogram.Recorder
		r.Init(&metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0x1p-128}, &cells, new(histogram.Heap))
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if x := xs[n%len(xs)]; !r.Observe(&cells, x) {
				r.ObserveRare(x)
			}
		}
	})
}
