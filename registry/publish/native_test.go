package publish

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// nativeSource observes values as one process does, limits its resolution and begins again.
type nativeSource struct {
	rnd       *rand.Rand
	schema    int
	values    []float64 // since the last reset
	all       []float64 // ever, in all sources
	exemplars []*metric.Exemplar
}

func (n *nativeSource) family() *metric.Family {
	return nativeFamilyOf(n.values, n.schema, n.exemplars)
}

// nativeFamilyOf is a histogram of values, with a classic bucket.
func nativeFamilyOf(values []float64, schema int, exemplars []*metric.Exemplar) *metric.Family {
	var total histogram.Total
	total.Define(histogram.Definition{Schema: schema, Limit: 1024, Threshold: 0.01})
	sum, classic := 0.0, uint64(0)
	for _, x := range values {
		sum += x
		if x <= 1 {
			classic++
		}
		switch {
		case math.IsNaN(x):
			total.NaN++
		case math.Abs(x) <= 0.01:
			total.Zero++
		default:
			total.Add(schema, x < 0, histogram.Of(schema).Index(x), 1)
		}
	}
	h := &metric.NativeHistogram{Exemplars: exemplars}
	count, _ := total.Show(h, math.IsNaN(sum))
	return &metric.Family{Name: "n", Help: "N.", Type: metric.Histogram, Series: []metric.Series{{
		Labels: metric.MakeLabels("l", "v"), Count: count, Sum: sum, Native: h,
		Buckets: metric.Cumulate([]float64{1}, []uint64{classic, count - classic}),
	}}}
}

// TestNativeHistograms: the merged view has each observation of each source once, whatever the
// sources do, in the least resolution that any of them had.
func TestNativeHistograms(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		dir := t.TempDir()
		var sources []*nativeSource
		var scripts []*scripted
		var publishers []*Publisher
		for range 2 {
			set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
			t.Cleanup(func() { set.Close() })
			n, s := &nativeSource{rnd: rnd, schema: 3}, &scripted{}
			s.say(nil, n.family())
			publishers = append(publishers, start(t, Options{Set: set, Source: s, Period: time.Hour}))
			sources, scripts = append(sources, n), append(scripts, s)
		}
		least, lowered, restarted := 8, 0, 0
		for range 20 {
			i := rnd.IntN(len(sources))
			n := sources[i]
			switch rnd.IntN(8) {
			case 0:
				if n.schema > 0 {
					n.schema--
					lowered++
				}
			case 1:
				n.values, n.schema = nil, 3 // it begins again, with its resolution back
				restarted++
			}
			for range rnd.IntN(20) {
				x := math.Exp(rnd.NormFloat64())
				switch rnd.IntN(10) {
				case 0:
					x = -x
				case 1:
					x = 0
				case 2:
					if seed%3 == 0 {
						x = math.NaN()
					}
				}
				n.values, n.all = append(n.values, x), append(n.all, x)
			}
			if slices.ContainsFunc(n.values, func(x float64) bool { return math.Abs(x) > 0.01 }) {
				least = min(least, n.schema)
			}
			scripts[i].say(nil, n.family())
			for range 2 { // a second time changes nothing
				require.NoError(t, publishers[i].Publish(t.Context()))
			}
		}
		if least == 8 {
			continue
		}
		families, err := view(t, dir).Gather(t.Context())
		require.NoError(t, err)
		at := slices.IndexFunc(families, func(f *metric.Family) bool { return f.Name == "n" })
		got := &families[at].Series[0]
		want := nativeFamilyOf(append(slices.Clone(sources[0].all), sources[1].all...), least, nil).Series[0]
		require.Equal(t, want.Count, got.Count, "seed %d, lowered %d, restarted %d", seed, lowered, restarted)
		require.Equal(t, want.Native.Schema, got.Native.Schema)
		require.Equal(t, want.Native.ZeroCount, got.Native.ZeroCount)
		require.Equal(t, want.Native.ZeroThreshold, got.Native.ZeroThreshold)
		require.Equal(t, want.Native.Positive, got.Native.Positive, "seed %d", seed)
		require.Equal(t, want.Native.Negative, got.Native.Negative)
		for i := range want.Buckets {
			require.Equal(t, want.Buckets[i].Count, got.Buckets[i].Count)
		}
		if !math.IsNaN(want.Sum) {
			require.InDelta(t, want.Sum, got.Sum, 1e-9)
		}
	}
}

// TestNativeHistogramThatGoes: a series that comes again counts only what it has grown.
func TestNativeHistogramThatGoes(t *testing.T) {
	dir := t.TempDir()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	t.Cleanup(func() { set.Close() })
	s := &scripted{}
	s.say(nil, nativeFamilyOf([]float64{1, 2, 3}, 3, nil))
	p := start(t, Options{Set: set, Source: s, Period: time.Hour})
	s.say(nil, &metric.Family{Name: "other", Type: metric.Gauge, Series: []metric.Series{{}}})
	require.NoError(t, p.Publish(t.Context()))
	x := &metric.Exemplar{Labels: metric.MakeLabels("trace_id", "a"), Value: 3, Timestamp: time.Unix(7, 0)}
	s.say(nil, nativeFamilyOf([]float64{1, 2, 3, 3, 0}, 3, []*metric.Exemplar{x}))
	require.NoError(t, p.Publish(t.Context()))
	families, err := view(t, dir).Gather(t.Context())
	require.NoError(t, err)
	at := slices.IndexFunc(families, func(f *metric.Family) bool { return f.Name == "n" })
	require.Len(t, families[at].Series, 1)
	got := families[at].Series[0]
	require.EqualValues(t, 2, got.Count)
	require.EqualValues(t, 1, got.Native.ZeroCount)
	require.Len(t, got.Native.Exemplars, 1)
	require.Zero(t, got.Native.Exemplars[0].Compare(x))

	// Another threshold, or no native buckets, is another histogram.
	changed := nativeFamilyOf([]float64{1}, 3, nil)
	changed.Series[0].Native.ZeroThreshold = 0.5
	s.say(nil, changed)
	require.ErrorIs(t, p.Publish(t.Context()), errBounds)
	changed.Series[0].Native = nil
	require.ErrorIs(t, p.Publish(t.Context()), errBounds)
}
