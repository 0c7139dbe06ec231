package aggregate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// nativeOf returns a histogram with these buckets, of schema 3 if nothing else is said.
func nativeOf(name string, n metric.NativeSchema, bounds ...float64) *metric.Schema {
	if n.MaxBuckets == 0 {
		n.MaxBuckets = 160
	}
	return &metric.Schema{Name: name, Help: "N.", Type: metric.Histogram, Bounds: bounds, Native: &n}
}

// record adds a series and counts values in it.
func (p *process) record(schema *metric.Schema, values ...float64) *recorded {
	p.t.Helper()
	s := newRecorded(p.add(schema), schema)
	for _, x := range values {
		s.observe(x)
	}
	return s
}

// nativeShown returns the series of a family as the aggregator and a new one show it.
func nativeShown(t *testing.T, a *Aggregator, name string) *metric.Series {
	t.Helper()
	cold := openDir(t, a.Dir(), a.opts)
	require.Equal(t, view(t, cold), view(t, a))
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	for _, f := range families {
		if f.Name == name {
			require.Len(t, f.Series, 1)
			return &f.Series[0]
		}
	}
	return nil
}

func counts(spans []metric.Span) (out string) {
	for i, n := range histogram.All(spans) {
		if n > 0 {
			out += fmt.Sprintf("%d:%d ", i, n)
		}
	}
	return strings.TrimSpace(out)
}

// TestNativeHistogramsMerge: what processes of different declarations have observed is one
// histogram, of the coarsest schema and the largest threshold, which dies with nobody.
func TestNativeHistogramsMerge(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	old := newProcess(t, elsewhere, "old", 1)
	old.record(nativeOf("n", metric.NativeSchema{Schema: 1, ZeroThreshold: 0.5}, 1), 0.25, 2, 2.1, math.NaN())
	fine := newProcess(t, dir, "fine", 2).record(nativeOf("n", metric.NativeSchema{Schema: 3, ZeroThreshold: 0.25}, 1, 8), 0.3, 2.1, 7, -7)

	got := nativeShown(t, a, "n")
	require.Equal(t, 3, got.Native.Schema)
	require.Equal(t, "-13:1 9:1 23:1", counts(got.Native.Positive))
	require.EqualValues(t, 4, got.Count)
	require.Equal(t, []metric.Bucket{{UpperBound: 1, Count: 2}, {UpperBound: 8, Count: 4}, {UpperBound: math.Inf(1), Count: 4}}, got.Buckets)

	die(t, old.Store, dir)
	for range 3 {
		got = nativeShown(t, a, "n")
		require.Equal(t, 1, got.Native.Schema)
		require.Equal(t, 0.5, got.Native.ZeroThreshold)
		require.EqualValues(t, 2, got.Native.ZeroCount, "0.25 and 0.3")
		require.Equal(t, "2:1 3:2 6:1", counts(got.Native.Positive))
		require.Equal(t, "6:1", counts(got.Native.Negative))
		require.EqualValues(t, 8, got.Count, "with the NaN")
		require.Equal(t, time.Unix(1, 0), got.Created)
		require.Equal(t, []metric.Bucket{{UpperBound: 1, Count: 3}, {UpperBound: 8, Count: 5}, {UpperBound: math.Inf(1), Count: 8}}, got.Buckets)
		compactDir(t, dir)
	}
	fine.observe(100)
	require.Equal(t, "2:1 3:2 6:1 14:1", counts(nativeShown(t, a, "n").Native.Positive))

	// Resolution comes back only with a new life.
	fine.Remove()
	require.Nil(t, nativeShown(t, a, "n"))
	newProcess(t, dir, "newer", 5).record(nativeOf("n", metric.NativeSchema{Schema: 3}, 1), 2.1)
	require.Equal(t, 3, nativeShown(t, a, "n").Native.Schema)
	_, err := Wipe(dir, true)
	require.NoError(t, err)
	require.Equal(t, "9:1", counts(nativeShown(t, a, "n").Native.Positive))
}

// TestManyRegions: a series may have any number of regions, in any schemas and order.
func TestManyRegions(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	r := rand.New(rand.NewPCG(1, 1))
	schema := nativeOf("n", metric.NativeSchema{Schema: 8, MaxBuckets: 1024})
	var total histogram.Total
	total.Define(histogram.DefinitionOf(schema.Native))
	for i := range 3 {
		where := dir
		if i == 0 {
			where = elsewhere
		}
		p := newProcess(t, where, fmt.Sprint(i), int64(i))
		s := p.add(schema)
		for range 3000 {
			region := histogram.Region{Schema: 4 + r.IntN(5), Negative: r.IntN(2) == 0, Number: int32(r.IntN(200) - 100)}
			counts := s.AddRegion(region)
			j, n := r.IntN(histogram.RegionBuckets), r.Uint64N(9)
			atomic.AddUint64(&counts[j], n)
			total.Add(region.Schema, region.Negative, histogram.RegionBuckets*region.Number+int32(j), n)
			if r.IntN(500) == 0 {
				nativeShown(t, a, "n")
			}
		}
		if where == elsewhere {
			die(t, p.Store, dir)
		}
	}
	total.Fit()
	var want metric.NativeHistogram
	count, ok := total.Show(&want, false)
	require.True(t, ok)
	for range 2 {
		got := nativeShown(t, a, "n")
		require.Equal(t, count, got.Count)
		require.Equal(t, &want, got.Native)
		compactDir(t, dir)
	}
}

// TestNativeLimit: the limit of buckets holds for all processes together.
func TestNativeLimit(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	for i := range 4 {
		s := newProcess(t, dir, fmt.Sprint(i), int64(i)).record(nativeOf("n", metric.NativeSchema{Schema: 3, MaxBuckets: 20}))
		for k := range 15 {
			s.observe(math.Exp2(float64(15*i+k+1) / 8))
		}
	}
	got := nativeShown(t, a, "n").Native
	require.Equal(t, 1, got.Schema)
	require.Equal(t, "1:4 2:4 3:4 4:4 5:4 6:4 7:4 8:4 9:4 10:4 11:4 12:4 13:4 14:4 15:4", counts(got.Positive))
}

// TestNativeConflicts: classic, native, and both are different types of a name. A change of
// schema, limit or threshold is no conflict.
func TestNativeConflicts(t *testing.T) {
	dir := t.TempDir()
	newProcess(t, dir, "first", 1).record(nativeOf("h", metric.NativeSchema{Schema: 3}), 1)
	newProcess(t, dir, "second", 2).record(nativeOf("h", metric.NativeSchema{Schema: 5, MaxBuckets: 7, ZeroThreshold: 2}), 1)
	newProcess(t, dir, "third", 3).add(histogramSchema("h", 1))
	newProcess(t, dir, "fourth", 4).record(nativeOf("h", metric.NativeSchema{Schema: 3}, 1), 1)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	require.EqualValues(t, 2, nativeShown(t, a, "h").Count)
	conflicts, err := inspect.Conflicts(context.Background(), a)
	require.NoError(t, err)
	var got []string
	for _, c := range conflicts {
		require.Equal(t, "histogram h with native buckets", c.Served.String())
		require.Equal(t, 2, c.Served.Series())
		got = append(got, c.Left.String())
	}
	require.ElementsMatch(t, []string{"histogram h with 2 buckets", "histogram h with native buckets and 2 buckets"}, got)
}

// TestNativeByProcess: each process has its own buckets.
func TestNativeByProcess(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	dead := newProcess(t, elsewhere, "dead", 1)
	dead.record(nativeOf("n", metric.NativeSchema{Schema: 3}), 1, 2)
	die(t, dead.Store, dir)
	compactDir(t, dir)
	newProcess(t, dir, "live", 2).record(nativeOf("n", metric.NativeSchema{Schema: 2}), 4)
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	families, err := a.Gather(inspect.WithByProcess(context.Background()))
	require.NoError(t, err)
	got := map[string]string{}
	for _, s := range families[0].Series {
		got[s.Labels.String()] = fmt.Sprint(s.Native.Schema, " ", counts(s.Native.Positive))
	}
	require.Equal(t, map[string]string{`{pid="archive"}`: "3 0:1 8:1", `{pid="live"}`: "2 8:1"}, got)
	require.EqualValues(t, 3, nativeShown(t, a, "n").Count)
}

// TestNativeOnTheHeap: a program without a directory shows its native buckets too.
func TestNativeOnTheHeap(t *testing.T) {
	p := &process{mpm.NewHeap(mpm.Options{}), t}
	s := p.record(nativeOf("n", metric.NativeSchema{Schema: 3}), 1, 2)
	a := fromStore(p.Store, Options{NoSelfMetrics: true})
	for _, want := range []string{"0:1 8:1", "0:1 8:1 16:1"} {
		families, err := a.Gather(context.Background())
		require.NoError(t, err)
		require.Equal(t, want, counts(families[0].Series[0].Native.Positive))
		s.observe(4)
	}
}

// TestNativeExemplars: all exemplars of a histogram, each once, are those of its native
// buckets, up to the limit, and the newest of each classic bucket is shown there too.
func TestNativeExemplars(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	schema := nativeOf("n", metric.NativeSchema{Schema: 3, MaxExemplars: 3}, 10)
	old := newProcess(t, elsewhere, "old", 1)
	one, two := old.record(schema, 1, 100), newProcess(t, dir, "new", 2).record(schema, 1.1, 5)
	set := func(s *recorded, bucket int, id string, v float64, at int64) {
		s.SetExemplar(bucket, metric.MakeLabels("id", id), v, at)
	}
	set(one, 0, "a", 1, 100) // in a classic bucket, and in a native one
	set(one, 2, "a", 1, 100)
	set(one, 3, "b", 100, 90)
	set(two, 2, "c", 1.1, 110)
	show := func() (classic, native string) {
		s := nativeShown(t, a, "n")
		for _, b := range s.Buckets {
			if b.Exemplar != nil {
				classic += b.Exemplar.Labels[0].Value
			}
		}
		for _, x := range s.Native.Exemplars {
			native += x.Labels[0].Value
		}
		return classic, native
	}
	check := func(wantClassic, wantNative string) {
		t.Helper()
		classic, native := show()
		require.Equal(t, wantClassic, classic)
		require.Equal(t, wantNative, native)
	}
	check("c", "c")
	die(t, old.Store, dir)
	check("cb", "acb")
	compactDir(t, dir)
	check("cb", "acb")
	set(two, 3, "d", 5, 50)
	check("cb", "cdb") // a is the older one of the closest pair
}

// TestImpossibleCounts: no more than 2^63-1 observations are shown, because a server would
// reject the whole scrape.
func TestImpossibleCounts(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	s := newProcess(t, dir, "w", 1).record(nativeOf("n", metric.NativeSchema{Schema: 3}, 1), 1)
	require.NotNil(t, nativeShown(t, a, "n").Native)
	atomic.StoreUint64(&s.Words()[histogram.CellZero], math.MaxInt64)
	got := nativeShown(t, a, "n")
	require.Nil(t, got.Native)
	require.EqualValues(t, math.MaxInt64, got.Count)
	atomic.StoreUint64(&s.Words()[histogram.CellZero], 0)
	atomic.StoreUint64(&s.Words()[mpm.CellNativeBuckets], 5) // more than were observed
	got = nativeShown(t, a, "n")
	require.Equal(t, []metric.Bucket{{UpperBound: 1, Count: 1}, {UpperBound: math.Inf(1), Count: 1}}, got.Buckets)
}

// TestBucketsNeverFall: whatever words a file has, each bucket of what is shown has at least what
// the one before it has, before and after compaction.
func TestBucketsNeverFall(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	native := newProcess(t, dir, "n", 1)
	one := native.record(nativeOf("n", metric.NativeSchema{Schema: 3}, 1, 2, 3), 1)
	classic := native.add(&metric.Schema{Name: "c", Help: "C.", Type: metric.Histogram, Bounds: []float64{1, 2, 3}})
	r := rand.New(rand.NewPCG(7, 7))
	wild := []uint64{0, 1, 7, 1 << 62, math.MaxInt64, 1 << 63, math.MaxUint64 - 5, math.MaxUint64}
	check := func() {
		families, err := a.Gather(t.Context())
		require.NoError(t, err)
		require.Len(t, families, 2)
		for _, f := range families {
			s := &f.Series[0]
			for i := 1; i < len(s.Buckets); i++ {
				require.GreaterOrEqual(t, s.Buckets[i].Count, s.Buckets[i-1].Count, "%s %v", f.Name, s.Buckets)
			}
			require.Equal(t, s.Count, s.Buckets[len(s.Buckets)-1].Count)
			if s.Native != nil {
				require.NoError(t, histogram.Check(s.Native, s.Count, s.Sum))
			}
		}
	}
	for range 300 {
		for i := range one.Words()[1:] {
			atomic.StoreUint64(&one.Words()[1+i], wild[r.IntN(len(wild))])
		}
		for i := range classic.Words()[1:] {
			atomic.StoreUint64(&classic.Words()[1+i], wild[r.IntN(len(wild))])
		}
		check()
	}
	die(t, native.Store, dir)
	compactDir(t, dir)
	check()
}
