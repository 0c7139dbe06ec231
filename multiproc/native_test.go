package multiproc_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// readNative is a series with native buckets, as a reader of the store has it.
type readNative struct {
	schema *metric.Schema
	words  []uint64
	total  histogram.Total
	count  uint64 // in regions
	finest int    // schema of the regions that have observations
	least  int    // the coarsest one
}

// readNatives returns the live series with native buckets by family and labels. Regions of
// other series are counted.
func readNatives(t *testing.T, s *multiproc.Set) (out map[string]*readNative, others int) {
	t.Helper()
	_, r := stored(t, s)
	list := r.Series()
	require.Zero(t, r.Unknown())
	out = map[string]*readNative{}
	byNumber := make([]*readNative, len(list))
	for i, one := range list {
		if one.Schema.Native == nil {
			continue
		}
		n := &readNative{schema: one.Schema, finest: math.MinInt, least: math.MaxInt}
		for j := range one.Words() {
			n.words = append(n.words, atomic.LoadUint64(&one.Words()[j]))
		}
		n.total.Define(histogram.DefinitionOf(one.Schema.Native))
		n.total.Zero, n.total.NaN = n.words[histogram.CellZero], n.words[histogram.CellNaN]
		byNumber[i] = n
		out[one.Schema.Name+one.Labels().String()] = n
	}
	for _, region := range r.Regions() {
		if region.Removed {
			others++
			continue
		}
		var counts [histogram.RegionBuckets]uint64
		n := byNumber[region.Series]
		for j := range counts {
			counts[j] = atomic.LoadUint64(&region.Counts[j])
			if n.count += counts[j]; counts[j] > 0 {
				n.finest, n.least = max(n.finest, region.Schema), min(n.least, region.Schema)
			}
		}
		n.total.AddRegion(region.Schema, region.Negative, region.Number, &counts)
	}
	return out, others
}

// counted counts values one by one.
type counted struct {
	total   histogram.Total
	d       histogram.Definition
	bounds  []float64
	classic []uint64
	sum     float64
}

func newCounted(schema *metric.Schema) *counted {
	c := &counted{d: histogram.DefinitionOf(schema.Native), bounds: schema.Bounds, classic: make([]uint64, len(schema.Bounds))}
	c.total.Define(c.d)
	return c
}

func (c *counted) observe(v float64) {
	c.sum += v
	switch {
	case v != v:
		c.total.NaN++
	case math.Abs(v) <= c.d.Threshold:
		c.total.Zero++
	default:
		c.total.Add(c.d.Schema, math.Signbit(v), histogram.Of(c.d.Schema).Index(v), 1)
	}
	for i, b := range c.bounds {
		if v <= b {
			c.classic[i]++
			return
		}
	}
}

// requireEqual compares what a reader has with what was counted.
func (c *counted) requireEqual(t *testing.T, got *readNative) {
	t.Helper()
	c.total.Fit()
	got.total.Fit()
	var want, is metric.NativeHistogram
	n, ok := c.total.Show(&want, c.sum != c.sum)
	require.True(t, ok)
	m, ok := got.total.Show(&is, c.sum != c.sum)
	require.True(t, ok)
	require.Equal(t, n, m)
	require.Equal(t, want, is)
	if c.sum == c.sum {
		require.Equal(t, c.sum, math.Float64frombits(got.words[histogram.CellSum]))
	} else {
		require.True(t, math.IsNaN(math.Float64frombits(got.words[histogram.CellSum])))
	}
	require.Equal(t, c.classic, append([]uint64{}, got.words[mpm.CellNativeBuckets:]...))
}

// nativeOpts are options of a histogram with native buckets.
func nativeOpts(name string, buckets ...float64) multiproc.HistogramOpts {
	return multiproc.HistogramOpts{Name: name, Help: "N.", Buckets: buckets, NativeHistogramBucketFactor: 1.1}
}

// defaultThreshold is that of the zero bucket.
const defaultThreshold = 0x1p-128

// wild returns values of all kinds.
func wild(r *rand.Rand, n int, spread float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		switch out[i] = math.Exp(r.NormFloat64()*spread) * float64(1-2*r.IntN(2)); r.IntN(50) {
		case 0:
			out[i] = 0
		case 1:
			out[i] = math.Inf(1 - 2*r.IntN(2))
		case 2:
			out[i] = math.Float64frombits(r.Uint64() &^ (1 << 62)) // finite
		case 3:
			out[i] = math.Copysign(0, -1)
		case 4:
			out[i] = math.Copysign(math.Float64frombits(r.Uint64()>>(12+r.IntN(52))), out[i]) // subnormal, or 0
		case 5:
			out[i] = math.Copysign(math.Ldexp(1, r.IntN(40)-20), out[i]) // the bound of a bucket
		case 6:
			out[i] = math.Copysign([]float64{defaultThreshold, math.Nextafter(defaultThreshold, 1), 0.25, math.Nextafter(0.25, 1)}[r.IntN(4)], out[i])
		}
	}
	return out
}

// TestNativeHistograms: the file has what was observed, in native buckets, in classic ones or in
// both, from before the store was opened on.
func TestNativeHistograms(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		rnd := rand.New(rand.NewPCG(1, 2))
		only := multiproc.MustNew(s.NewHistogram(nativeOpts("only")))
		both := multiproc.MustNew(s.NewHistogram(nativeOpts("both", -1, 0.5, 2, math.Inf(1))))
		coarse := nativeOpts("coarse")
		coarse.NativeHistogramBucketFactor, coarse.NativeHistogramMaxBucketNumber, coarse.NativeHistogramZeroThreshold = 100, 8, 0.25
		vec := multiproc.MustNew(s.NewHistogramVec(coarse, []string{"l"}))
		none := multiproc.MustNew(s.NewHistogram(nativeOpts("none")))
		buckets, sum := none.Values()
		require.Equal(t, []metric.Bucket{{UpperBound: math.Inf(1)}}, buckets)
		require.Zero(t, sum)

		observers := map[string]multiproc.Observer{"only": only, "both": both, `coarse{l="x"}`: vec.WithLabelValues("x")}
		var want map[string]*counted
		for range 2000 {
			for name, o := range observers {
				v := wild(rnd, 1, 3)[0]
				if math.IsInf(v, 0) && name == "only" {
					v = math.MaxFloat64 / 1e10 // its sum stays finite
				}
				o.Observe(v)
				if want == nil {
					natives, _ := readNatives(t, s)
					require.Contains(t, natives, name)
					want = map[string]*counted{}
					for name := range observers {
						schema := map[string]*metric.Schema{}
						for key, n := range natives {
							schema[key] = n.schema
						}
						if schema[name] != nil {
							want[name] = newCounted(schema[name])
						}
					}
				}
				want[name].observe(v)
			}
		}
		natives, others := readNatives(t, s)
		require.Zero(t, others)
		require.Len(t, natives, len(observers)+1)
		for name := range observers {
			want[name].requireEqual(t, natives[name])
		}
		require.Zero(t, natives["none"].count, "it was declared, so it is there")
		require.Equal(t, &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0x1p-128, MaxExemplars: 10}, natives["both"].schema.Native)
		require.Equal(t, &metric.NativeSchema{Schema: -2, MaxBuckets: 8, ZeroThreshold: 0.25, MaxExemplars: 10}, natives[`coarse{l="x"}`].schema.Native)
		require.Empty(t, natives["only"].schema.Bounds)

		buckets, _ = both.Values()
		require.Equal(t, []float64{-1, 0.5, 2, math.Inf(1)}, []float64{buckets[0].UpperBound, buckets[1].UpperBound, buckets[2].UpperBound, buckets[3].UpperBound})
		require.EqualValues(t, 2000, buckets[3].Count)
		require.Equal(t, want["both"].classic[0], buckets[0].Count)
		buckets, sum = only.Values()
		require.Equal(t, []metric.Bucket{{UpperBound: math.Inf(1), Count: 2000}}, buckets)
		require.Equal(t, want["only"].sum, sum)
		only.Observe(math.NaN())
		buckets, _ = only.Values()
		require.EqualValues(t, 2001, buckets[0].Count)

		// All that was observed goes with a reset, and the buckets are fine again.
		s.Reset()
		both.Observe(3)
		natives, _ = readNatives(t, s)
		again := newCounted(natives["both"].schema)
		again.observe(3)
		again.requireEqual(t, natives["both"])
		require.Equal(t, 3, natives["both"].least)
		require.Zero(t, natives["only"].count)
	})
}

// TestObserveAtOnce: goroutines that observe while the schema falls lose nothing.
func TestObserveAtOnce(t *testing.T) {
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		opts := nativeOpts("h", 1, 10)
		opts.NativeHistogramMaxBucketNumber = 40
		vec := multiproc.MustNew(s.NewHistogramVec(opts, []string{"l"}))
		const goroutines, each = 4, 4000
		values := make([][]float64, goroutines)
		var wg sync.WaitGroup
		for g := range goroutines {
			rnd := rand.New(rand.NewPCG(uint64(g), 3))
			values[g] = make([]float64, each)
			for i := range values[g] {
				// Whole numbers, so that the sum does not depend on the order.
				values[g][i] = math.Round(math.Exp(math.Abs(rnd.NormFloat64())*float64(i)/300)) * float64(1-2*(i%2))
				values[g][i] = math.Mod(values[g][i], 1<<40)
			}
			wg.Go(func() {
				for i, v := range values[g] {
					vec.WithLabelValues(strconv.Itoa(i % 3)).Observe(v)
				}
			})
		}
		wg.Wait()
		natives, _ := readNatives(t, s)
		require.Len(t, natives, 3)
		for l := range 3 {
			got := natives[`h{l="`+strconv.Itoa(l)+`"}`]
			want := newCounted(got.schema)
			for _, vs := range values {
				for i := l; i < each; i += 3 {
					want.observe(vs[i])
				}
			}
			require.Less(t, got.least, 3, "the schema has fallen")
			want.requireEqual(t, got)
		}
	})
}

// TestRemovedNativeSeries: what a handle of a removed series observes counts for no other one,
// and regions become free with their series.
func TestRemovedNativeSeries(t *testing.T) {
	backings(t, multiproc.SetOptions{KeepRemoved: metric.KeepNone}, func(t *testing.T, s *multiproc.Set) {
		vec := multiproc.MustNew(s.NewHistogramVec(nativeOpts("h", 1), []string{"l"}))
		held := vec.WithLabelValues("held")
		held.Observe(5)
		require.True(t, vec.DeleteLabelValues("held"))
		for i := range 2000 {
			h := vec.WithLabelValues(strconv.Itoa(i))
			for j := range 8 {
				h.Observe(math.Exp2(float64((i + 2*j) % 60)))
			}
			held.Observe(math.Exp2(float64(i % 60)))
			if i < 1990 {
				vec.DeleteLabelValues(strconv.Itoa(i))
			}
			if i%100 == 0 {
				runtime.GC()
			}
		}
		natives, others := readNatives(t, s)
		require.Len(t, natives, 10)
		for i := 1990; i < 2000; i++ {
			got := natives[`h{l="`+strconv.Itoa(i)+`"}`]
			want := newCounted(got.schema)
			for j := range 8 {
				want.observe(math.Exp2(float64((i + 2*j) % 60)))
			}
			want.requireEqual(t, got)
		}
		require.GreaterOrEqual(t, others, 8, "those of the held one are there")
		_, r := stored(t, s)
		require.Less(t, r.Bytes(), int64(2000*(8*96+96)/2), "regions are used again")
		runtime.KeepAlive(held)
	})
}

// TestNativeUpdatesDoNotAllocate: once there is a region, an observation allocates nothing.
func TestNativeUpdatesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	backings(t, multiproc.SetOptions{}, func(t *testing.T, s *multiproc.Set) {
		only := multiproc.MustNew(s.NewHistogram(nativeOpts("only")))
		both := multiproc.MustNew(s.NewHistogramVec(nativeOpts("both", 1, 2), []string{"l"}))
		trace := multiproc.Labels{"trace_id": "0123456789abcdef"}
		require.Zero(t, testing.AllocsPerRun(100, func() {
			only.Observe(3)
			only.Observe(-3)
			only.Observe(0)
			both.WithLabelValues("x").Observe(0.7)
			both.WithLabelValues("x").Observe(math.NaN())
			both.WithLabelValues("x").ObserveWithExemplar(0.7, trace)
		}))
	})
}

// TestNativeExemplars: a series has as many exemplars of native buckets as it may, spread out by
// client_golang's rule, and one of each classic bucket.
func TestNativeExemplars(t *testing.T) {
	clock := time.Unix(1e9, 0)
	s := multiproc.NewSet(multiproc.SetOptions{Now: func() time.Time { return clock }})
	opts := nativeOpts("h", 1)
	opts.NativeHistogramMaxExemplars, opts.NativeHistogramExemplarTTL = 3, time.Minute
	h := multiproc.MustNew(s.NewHistogram(opts))
	opts.Name, opts.NativeHistogramMaxExemplars = "none", -1
	none := multiproc.MustNew(s.NewHistogram(opts))
	observe := func(v float64) {
		clock = clock.Add(time.Second)
		h.ObserveWithExemplar(v, multiproc.Labels{"v": strconv.FormatFloat(v, 'g', -1, 64)})
		none.ObserveWithExemplar(v, multiproc.Labels{"v": "none"})
	}
	exemplars := func() map[int]float64 {
		r := access.Store(s).Reader(nil)
		require.NoError(t, r.Refresh())
		out := map[int]float64{}
		for _, e := range r.Exemplars() {
			x, _ := e.Load()
			if x == nil {
				continue
			}
			if r.Series()[e.Series].Schema.Name == "none" {
				require.Less(t, e.Bucket, 2)
				continue
			}
			require.Equal(t, strconv.FormatFloat(x.Value, 'g', -1, 64), x.Labels[0].Value)
			out[e.Bucket] = x.Value
		}
		return out
	}
	for _, v := range []float64{1, 8, 64} {
		observe(v)
	}
	require.Equal(t, map[int]float64{0: 1, 1: 64, 2: 1, 3: 8, 4: 64}, exemplars())
	observe(60) // closest to 64
	require.Equal(t, map[int]float64{0: 1, 1: 60, 2: 1, 3: 8, 4: 60}, exemplars())
	observe(math.NaN())
	require.Equal(t, 60.0, exemplars()[4])
	require.True(t, math.IsNaN(exemplars()[1]))
	clock = clock.Add(2 * time.Minute)
	observe(61) // the oldest is too old
	require.Equal(t, 61.0, exemplars()[2])
	s.Reset()
	require.Empty(t, exemplars())
	observe(5)
	require.Equal(t, map[int]float64{1: 5, 2: 5}, exemplars())
}

// TestNativeConflicts: histograms of different kinds, or with other native buckets, do not share
// a name.
func TestNativeConflicts(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	first := multiproc.MustNew(s.NewHistogram(nativeOpts("h", 1)))
	require.Same(t, first, multiproc.MustNew(s.NewHistogram(nativeOpts("h", 1))))
	for what, opts := range map[string]multiproc.HistogramOpts{
		"native buckets are":         {Name: "h", Help: "N.", Buckets: []float64{1}, NativeHistogramBucketFactor: 2},
		"has no native buckets":      {Name: "h", Help: "N.", Buckets: []float64{1}},
		"the buckets are":            {Name: "h", Help: "N.", NativeHistogramBucketFactor: 1.1},
		"NativeHistogramExemplarTTL": {Name: "h", Help: "N.", Buckets: []float64{1}, NativeHistogramBucketFactor: 1.1, NativeHistogramExemplarTTL: time.Hour},
	} {
		_, err := s.NewHistogram(opts)
		require.ErrorIs(t, err, multiproc.ErrConflict, what)
		require.ErrorContains(t, err, what)
	}
	// Of separate ones all but the kind may differ.
	separate := func(label string, opts multiproc.HistogramOpts) error {
		opts.Name, opts.Separate = "separate", true
		_, err := s.NewHistogramVec(opts, []string{label})
		return err
	}
	require.NoError(t, separate("a", nativeOpts("", 1)))
	require.NoError(t, separate("b", nativeOpts("", 1, 2)))
	require.ErrorIs(t, separate("c", nativeOpts("")), multiproc.ErrConflict)
	require.ErrorIs(t, separate("d", multiproc.HistogramOpts{Help: "N.", Buckets: []float64{1}}), multiproc.ErrConflict)
}
