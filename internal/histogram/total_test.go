package histogram_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// part is what one process has: a definition, and observations at several schemas.
type part struct {
	histogram.Definition
	zero, nan uint64
	buckets   []at
}

type at struct {
	schema   int
	negative bool
	index    int32
	count    uint64
}

var thresholds = []float64{0, 0x1p-128, 0.001, 0.001, 0.3, 1, 5e-324, math.MaxFloat64}

// randomPart observes values of a few decades, some with a lowered schema.
func randomPart(rnd *rand.Rand, threshold float64) part {
	p := part{Definition: histogram.Definition{
		Schema:    histogram.MinSchema + rnd.IntN(histogram.MaxSchema-histogram.MinSchema+1),
		Limit:     []int{1, 4, 20, 160, 1024}[rnd.IntN(5)],
		Threshold: threshold,
	}}
	spread := rnd.Float64() * 5
	schema := p.Schema
	for range rnd.IntN(60) {
		if rnd.IntN(20) == 0 && schema > histogram.MinSchema {
			schema--
		}
		x := math.Exp(rnd.NormFloat64() * spread)
		switch rnd.IntN(40) {
		case 0:
			x = math.Inf(1)
		case 1:
			x = math.NaN()
		case 2:
			x = 0
		case 3:
			x = math.Float64frombits(rnd.Uint64() &^ (1 << 63))
		case 4:
			x = histogram.Of(schema).Upper(int32(rnd.IntN(40) - 20))
		}
		switch {
		case math.IsNaN(x):
			p.nan++
		case x <= p.Threshold:
			p.zero++
		default:
			p.buckets = append(p.buckets, at{schema, rnd.IntN(4) == 0, histogram.Of(schema).Index(x), 1 + rnd.Uint64N(5)})
		}
	}
	return p
}

func (p part) addTo(t *histogram.Total) {
	t.Define(p.Definition)
	t.Zero, t.NaN = t.Zero+p.zero, t.NaN+p.nan
	for _, b := range p.buckets {
		t.Add(b.schema, b.negative, b.index, b.count)
	}
}

type shown struct {
	metric.NativeHistogram
	count uint64
}

func show(t *histogram.Total, sumIsNaN bool) (s shown) {
	t.Fit()
	var ok bool
	if s.count, ok = t.Show(&s.NativeHistogram, sumIsNaN); !ok {
		panic("more than a server reads")
	}
	return s
}

func cells(spans []metric.Span) map[int]uint64 {
	out := map[int]uint64{}
	for i, n := range histogram.All(spans) {
		if n > 0 {
			out[i] = n
		}
	}
	return out
}

// byHand merges in the plainest way: with maps, and one bucket at a time.
func byHand(parts []part, sumIsNaN bool) shown {
	schema, limit := histogram.MaxSchema, math.MaxInt
	zmin, zmax := math.Inf(1), 0.0
	var out shown
	for _, p := range parts {
		schema, limit = min(schema, p.Schema), min(limit, p.Limit)
		zmin, zmax = min(zmin, p.Threshold), max(zmax, p.Threshold)
		out.ZeroCount += p.zero
		for _, b := range p.buckets {
			schema = min(schema, b.schema)
		}
		if sumIsNaN {
			out.count += p.nan
		}
	}
	var sides [2]map[int]uint64
	for ; ; schema-- {
		sides = [2]map[int]uint64{{}, {}}
		regions := map[string]bool{}
		for _, p := range parts {
			for _, b := range p.buckets {
				side := 0
				if b.negative {
					side = 1
				}
				i := int(b.index)
				for range b.schema - schema {
					i = int(math.Ceil(float64(i) / 2))
				}
				sides[side][i] += b.count
				regions[fmt.Sprint(side, math.Floor(float64(i)/8))] = true
			}
		}
		if schema == histogram.MinSchema || len(sides[0])+len(sides[1]) <= limit && len(regions) <= max(8, int(math.Ceil(float64(limit)/4))) {
			break
		}
	}
	out.Schema, out.ZeroThreshold = schema, zmax
	b := histogram.Of(schema)
	if zmin != zmax {
		for _, side := range sides {
			for i := range side {
				if b.Upper(int32(i-1)) < zmax && b.Upper(int32(i)) > zmax {
					out.ZeroThreshold = b.Upper(int32(i))
				}
			}
		}
		for _, side := range sides {
			for i, n := range side {
				if b.Upper(int32(i)) <= out.ZeroThreshold {
					out.ZeroCount += n
					delete(side, i)
				}
			}
		}
	}
	out.count += out.ZeroCount
	for _, side := range sides {
		for _, n := range side {
			out.count += n
		}
	}
	out.Positive, out.Negative = spansByHand(sides[0]), spansByHand(sides[1])
	return out
}

// spansByHand has one span for each bucket, which is valid too.
func spansByHand(side map[int]uint64) (out []metric.Span) {
	next := 0
	for _, i := range slices.Sorted(maps.Keys(side)) {
		out = append(out, metric.Span{Offset: i - next, Counts: []uint64{side[i]}})
		next = i + 1
	}
	return out
}

func requireShown(t testing.TB, want, got shown) {
	require.Equal(t, want.Schema, got.Schema)
	require.Equal(t, want.ZeroThreshold, got.ZeroThreshold)
	require.Equal(t, want.ZeroCount, got.ZeroCount)
	require.Equal(t, want.count, got.count)
	require.Equal(t, cells(want.Positive), cells(got.Positive))
	require.Equal(t, cells(want.Negative), cells(got.Negative))
}

// requireNoReset checks that a server that saw before and now sees after takes nothing for a
// counter reset: no bucket of before is finer or larger.
func requireNoReset(t testing.TB, before, after shown) {
	require.LessOrEqual(t, after.Schema, before.Schema)
	require.GreaterOrEqual(t, after.ZeroThreshold, before.ZeroThreshold)
	require.GreaterOrEqual(t, after.count, before.count)
	zero := before.ZeroCount
	bounds := histogram.Of(after.Schema)
	for side, spans := range [][]metric.Span{before.Positive, before.Negative} {
		now := cells([][]metric.Span{after.Positive, after.Negative}[side])
		was := map[int]uint64{}
		for i, n := range cells(spans) {
			i := histogram.Reduce(int32(i), before.Schema-after.Schema)
			if bounds.Upper(i) <= after.ZeroThreshold {
				zero += n
			} else {
				was[int(i)] += n
			}
		}
		for i, n := range was {
			if now[i] < n {
				require.Fail(t, "a bucket has shrunk", "bucket %d has %d, after %d", i, now[i], n)
			}
		}
	}
	require.GreaterOrEqual(t, after.ZeroCount, zero)
}

// requireMerge checks the merge of parts: it is that by hand in any order, in any grouping,
// valid, and no view on the way to it takes anything back.
func requireMerge(t testing.TB, rnd *rand.Rand, parts []part) {
	sumIsNaN := false
	for _, p := range parts {
		sumIsNaN = sumIsNaN || p.nan > 0
	}
	want := byHand(parts, sumIsNaN)
	var total histogram.Total
	for round := range 3 {
		total.Reset() // the memory of the round before
		var before shown
		for i, p := range parts {
			p.addTo(&total)
			if round == 0 {
				sum := 0.0
				if total.NaN > 0 {
					sum = math.NaN()
				}
				var copied histogram.Total // Fit must not change what comes
				copied.Merge(&total)
				now := show(&copied, total.NaN > 0)
				require.NoError(t, histogram.Check(&now.NativeHistogram, now.count, sum))
				if i > 0 {
					requireNoReset(t, before, now)
				}
				before = now
			}
		}
		got := show(&total, sumIsNaN)
		requireShown(t, want, got)
		again := shown{NativeHistogram: got.NativeHistogram}
		again.count, _ = total.Show(&again.NativeHistogram, sumIsNaN) // uses the slices again
		requireShown(t, want, again)
		rnd.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	}
	// A compaction keeps some of the parts as one, after Fit.
	var archive histogram.Total
	cut := 1 + rnd.IntN(len(parts))
	for _, p := range parts[:cut] {
		p.addTo(&archive)
		archive.Fit()
	}
	total.Reset()
	for _, p := range parts[cut:] {
		p.addTo(&total)
	}
	if cut < len(parts) {
		total.Merge(&archive)
	} else {
		total = archive
	}
	requireShown(t, want, show(&total, sumIsNaN))
}

func TestMerge(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		parts := make([]part, 1+rnd.IntN(6))
		common := thresholds[rnd.IntN(len(thresholds))]
		for i := range parts {
			threshold := common
			if rnd.IntN(4) == 0 {
				threshold = thresholds[rnd.IntN(len(thresholds))]
			}
			parts[i] = randomPart(rnd, threshold)
		}
		requireMerge(t, rnd, parts)
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint64(2), int32(5), uint64(7))
	f.Add(uint64(2), uint8(40), uint64(math.MaxUint64), int32(-200_000), uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64, n uint8, threshold uint64, index int32, count uint64) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		parts := make([]part, 1+n%5)
		for i := range parts {
			parts[i] = randomPart(rnd, thresholds[rnd.IntN(len(thresholds))])
		}
		if z := math.Float64frombits(threshold); z >= 0 && z <= math.MaxFloat64 {
			parts[0].Threshold = z
			parts[0].buckets = nil // they may be below it
		}
		first, last := histogram.Range(parts[0].Schema)
		if count %= 1 << 50; count > 0 && index >= first && index <= last &&
			histogram.Of(parts[0].Schema).Upper(index-1) >= parts[0].Threshold {
			parts[0].buckets = append(parts[0].buckets, at{parts[0].Schema, false, index, count})
		}
		requireMerge(t, rnd, parts)
	})
}

func TestRegions(t *testing.T) {
	var one, other histogram.Total
	d := histogram.Definition{Schema: 2, Limit: 160}
	one.Define(d)
	other.Define(d)
	one.AddRegion(2, true, -3, &[8]uint64{1, 0, 3, 4, 0, 0, 0, 8})
	for i, n := range []uint64{1, 0, 3, 4, 0, 0, 0, 8} {
		other.Add(2, true, int32(-24+i), n)
	}
	require.Equal(t, other.Buckets(true), one.Buckets(true))
	require.Empty(t, one.Buckets(false))
	for _, b := range one.Buckets(true) {
		require.Equal(t, int32(-3), histogram.RegionOf(b.Index))
	}
	for limit, want := range map[int]int{1: 8, 32: 8, 33: 9, 160: 40, 1024: 256} {
		require.Equal(t, want, histogram.Regions(limit))
	}
}

func TestSpans(t *testing.T) {
	var total histogram.Total
	total.Define(histogram.Definition{Schema: 0, Limit: 160})
	for _, i := range []int32{5, -3, -2, 0, 3, 7} {
		total.Add(0, false, i, uint64(10+i))
	}
	s := show(&total, false)
	require.Equal(t, []metric.Span{
		{Offset: -3, Counts: []uint64{7, 8, 0, 10, 0, 0, 13, 0, 15, 0, 17}},
	}, s.Positive)
	total.Add(0, false, 11, 1)
	s.count, _ = total.Show(&s.NativeHistogram, false)
	require.Equal(t, metric.Span{Offset: 3, Counts: []uint64{1}}, s.Positive[1])
	require.EqualValues(t, 71, s.count)
}

// NaN is part of the count only while the sum is NaN.
func TestCountOfNaN(t *testing.T) {
	total := histogram.Total{NaN: 3, Zero: 2}
	total.Define(histogram.Definition{Limit: 1})
	s := show(&total, false)
	require.EqualValues(t, 2, s.count)
	require.NoError(t, histogram.Check(&s.NativeHistogram, s.count, 0))
	s = show(&total, true)
	require.EqualValues(t, 5, s.count)
	require.NoError(t, histogram.Check(&s.NativeHistogram, s.count, math.NaN()))
	require.ErrorContains(t, histogram.Check(&s.NativeHistogram, s.count, 1), "its count is 5, but 2 in its native buckets")
}

// What damaged words may add up to is not shown as a small number.
func TestTooManyObservations(t *testing.T) {
	for _, counts := range [][3]uint64{{1 << 63}, {0, 1 << 62, 1 << 62}, {1 << 62, 1 << 62}, {0, math.MaxUint64, 2}} {
		total := histogram.Total{Zero: counts[0]}
		total.Define(histogram.Definition{Schema: 1, Limit: 160})
		total.Add(1, false, 3, counts[1])
		total.Add(1, true, 3, counts[2])
		var h metric.NativeHistogram
		_, ok := total.Show(&h, false)
		require.False(t, ok, counts)
	}
	// Nor if it meets in one bucket: at once, if the schema falls, in the zero bucket, or in what
	// totals have that merge. Real counts that follow do not hide it.
	whole := histogram.Definition{Schema: 1, Limit: 160}
	for name, build := range map[string]func(t *histogram.Total){
		"at once": func(t *histogram.Total) { t.Add(1, false, 3, 1<<63); t.Add(1, false, 3, 1<<63) },
		"apart":   func(t *histogram.Total) { t.Add(1, false, 3, 1<<63); t.Add(1, false, 9, 1); t.Add(1, false, 3, 1<<63) },
		"regions": func(t *histogram.Total) {
			c := [histogram.RegionBuckets]uint64{1 << 63}
			t.AddRegion(1, true, 2, &c)
			t.AddRegion(1, true, 2, &c)
		},
		"lowered": func(t *histogram.Total) {
			t.Add(1, false, 3, 1<<63)
			t.Add(1, false, 4, 1<<63)
			t.Define(histogram.Definition{Schema: 0, Limit: 160})
		},
		"in zero": func(t *histogram.Total) {
			t.Zero = 1 << 63
			t.Add(1, false, 1, 1<<63)
			t.Define(histogram.Definition{Schema: 1, Limit: 160, Threshold: 100})
		},
		"zeros": func(t *histogram.Total) {
			o := histogram.Total{Zero: 1 << 63}
			o.Define(whole)
			t.Merge(&o)
			t.Merge(&o)
		},
		"of totals": func(t *histogram.Total) {
			var o histogram.Total
			o.Define(whole)
			o.Add(1, true, 7, math.MaxUint64)
			t.Merge(&o)
			t.Merge(&o)
		},
	} {
		var total histogram.Total
		total.Define(whole)
		build(&total)
		for range 3 {
			var h metric.NativeHistogram
			total.Fit()
			_, ok := total.Show(&h, false)
			require.False(t, ok, name)
			words, err := total.ReadWords(total.AppendWords(nil)) // as an archive has it
			require.NoError(t, err)
			require.Empty(t, words)
			total.Zero += 5
			total.Add(total.Schema(), false, 3, 5)
			total.Add(total.Schema(), true, 7, 5)
		}
	}
}

func TestCheck(t *testing.T) {
	good := func() *metric.NativeHistogram {
		return &metric.NativeHistogram{Schema: 1, ZeroThreshold: 0.5, ZeroCount: 1,
			Positive: []metric.Span{{Offset: -1, Counts: []uint64{2}}, {Offset: 3, Counts: []uint64{0, 4}}},
			Negative: []metric.Span{{Offset: 0}}}
	}
	require.NoError(t, histogram.Check(good(), 7, 1))
	require.NoError(t, histogram.Check(good(), 9, math.NaN()))
	for want, spoil := range map[string]func(h *metric.NativeHistogram){
		"schema 9":                      func(h *metric.NativeHistogram) { h.Schema = 9 },
		"schema -5":                     func(h *metric.NativeHistogram) { h.Schema = -5 },
		"threshold NaN":                 func(h *metric.NativeHistogram) { h.ZeroThreshold = math.NaN() },
		"threshold -1":                  func(h *metric.NativeHistogram) { h.ZeroThreshold = -1 },
		"threshold +Inf":                func(h *metric.NativeHistogram) { h.ZeroThreshold = math.Inf(1) },
		"its count is 7, but 8":         func(h *metric.NativeHistogram) { h.ZeroCount++ },
		"span 1 begins before":          func(h *metric.NativeHistogram) { h.Positive[1].Offset = -1 },
		"the offset of span 0":          func(h *metric.NativeHistogram) { h.Positive[0].Offset = math.MaxInt32 + 1 },
		"span 0 has buckets 3000":       func(h *metric.NativeHistogram) { h.Positive[0].Offset = 3000 },
		"span 0 has buckets -3000":      func(h *metric.NativeHistogram) { h.Positive[0].Offset = -3000 },
		"more than 2^63-1 observations": func(h *metric.NativeHistogram) { h.Positive[0].Counts[0] = math.MaxInt64 },
	} {
		h := good()
		spoil(h)
		require.ErrorContains(t, histogram.Check(h, 7, 1), want)
	}
}

// The price of showing a series of 100 populated buckets from its regions.
func BenchmarkShow(b *testing.B) {
	var total histogram.Total
	var out metric.NativeHistogram
	words := [8]uint64{1, 2, 0, 3, 4, 5, 0, 6}
	b.ReportAllocs()
	for b.Loop() {
		total.Reset()
		total.Define(histogram.Definition{Schema: 3, Limit: 160, Threshold: 0x1p-128})
		for k := range int32(16) {
			total.AddRegion(3, false, k-8, &words)
		}
		total.Fit()
		total.Show(&out, false)
	}
}
