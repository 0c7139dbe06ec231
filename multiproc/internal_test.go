package multiproc

import (
	"bytes"
	"math"
	"sort"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/mpm"
)

func TestExponentialBucketsRange(t *testing.T) {
	got := ExponentialBucketsRange(1, 100, 3)
	require.InDeltaSlice(t, []float64{1, 10, 100}, got, 1e-9)
	require.Equal(t, 100.0, got[2], "the last bound is exact")
	require.Panics(t, func() { ExponentialBucketsRange(1, 100, 1) })
	require.Panics(t, func() { ExponentialBucketsRange(0, 100, 3) })
	require.Panics(t, func() { ExponentialBucketsRange(2, 1, 3) })
	require.Panics(t, func() { ExponentialBucketsRange(1, math.NaN(), 3) })
}

// TestBucketTableSearches: where the table would pass many bounds by
// comparing, it searches; either way it finds what a search of all finds.
func TestBucketTableSearches(t *testing.T) {
	for name, tc := range map[string]struct {
		bounds []float64
		search bool
	}{
		"default":  {DefBuckets, false},
		"zero":     {[]float64{0}, false},
		"crowded":  {LinearBuckets(1000, 1, 1000), true},
		"far":      {ExponentialBuckets(1e-9, 4, 60), true},
		"negative": {LinearBuckets(-5, 1, 11), true},
	} {
		table := newBucketTable(tc.bounds)
		require.Equal(t, tc.search, table.search, name)
		for _, b := range append([]float64{0, math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(math.NaN(), -1)}, tc.bounds...) {
			for _, v := range []float64{b, math.Nextafter(b, math.Inf(1)), math.Nextafter(b, math.Inf(-1))} {
				want := sort.Search(len(tc.bounds), func(i int) bool { return tc.bounds[i] >= v })
				require.Equal(t, want, table.find(v), "%s: %v", name, v)
			}
		}
	}
}

// FuzzKeys: a key matches its own values and no others, and gives them back.
func FuzzKeys(f *testing.F) {
	f.Add("GET", "/", "GE", "T/")
	f.Add("", "", "\x00", "")
	f.Add(strings.Repeat("x", 300), "y", strings.Repeat("x", 300), "z")
	for n := shortKey - 5; n <= shortKey-3; n++ { // up to the longest key in place, and beyond
		f.Add(strings.Repeat("x", n), "y", strings.Repeat("x", n), "z")
	}
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		if max(len(a), len(b), len(c), len(d)) > 4096 {
			return
		}
		one, two := []string{a, b}, []string{c, d}
		key := makeKey(one)
		require.Len(t, key.text(), keyLen(one))
		require.True(t, key.matches(one))
		require.Equal(t, one, key.values(2))
		require.Equal(t, a == c && b == d, key.matches(two))
		require.False(t, key.matches(one[:1]))
		require.False(t, key.matches(append(one, "")))
		require.NotZero(t, hashValues(one))
		require.Equal(t, hashValues(one), hashValues([]string{strings.Clone(a), strings.Clone(b)}))
	})
}

// TestKeysDifferInEachByte: no byte is left out where eight or four are compared at once.
func TestKeysDifferInEachByte(t *testing.T) {
	for n := range shortKey + 10 {
		value := bytes.Repeat([]byte("x"), n)
		key := makeKey([]string{"GET", string(value), ""})
		require.True(t, key.matches([]string{"GET", string(value), ""}))
		for i := range value {
			value[i] = 'y'
			require.False(t, key.matches([]string{"GET", string(value), ""}), "byte %d of %d", i, n)
			value[i] = 'x'
		}
	}
}

// TestSizeOfASeries: that of a counter is a size that the allocator has, and what a
// lookup reads stands together.
func TestSizeOfASeries(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("pointers have 4 bytes")
	}
	require.EqualValues(t, 112, unsafe.Sizeof(Counter{}))
	require.EqualValues(t, 0, unsafe.Offsetof(series{}.first))
	require.EqualValues(t, 8, unsafe.Offsetof(series{}.key))
}

// TestHashSpreads: label values that resemble each other, of all the lengths
// that hashValues tells apart, share hashes no more often than random ones would.
func TestHashSpreads(t *testing.T) {
	seen := map[uint32]bool{}
	n := 0
	add := func(values ...string) {
		seen[hashValues(values)] = true
		n++
	}
	for n := range 40 {
		add(strings.Repeat("a", n))
		add(strings.Repeat("a", n), "")
		add("", strings.Repeat("a", n), "x")
	}
	for n := range 20_000 {
		add("GET", strconv.Itoa(n))
		add(strconv.Itoa(n), "GET")
		add("GET", "/a/path/that/is/rather/long/"+strconv.Itoa(n))
	}
	require.LessOrEqual(t, n-len(seen), 10, "of these hashes of 31 bits one or two are shared")
}

// TestTableUnderChurn: removals leave used entries, and do not make the
// table grow for ever.
func TestTableUnderChurn(t *testing.T) {
	table := newTable(minTableBits)
	values := func(n int) []string { return []string{strconv.Itoa(n)} }
	made := map[int]*series{}
	const live = 100
	for n := range 50_000 {
		made[n] = &series{key: makeKey(values(n))}
		table = table.insert(hashValues(values(n)), made[n])
		if n >= live {
			at, s := table.probe(hashValues(values(n-live)), values(n-live))
			require.Same(t, made[n-live], s)
			table.remove(at)
			require.Nil(t, table.find(hashValues(values(n-live)), values(n-live)))
		}
		if n%997 == 0 {
			for i := max(0, n-live+1); i <= n; i++ {
				require.Same(t, made[i], table.find(hashValues(values(i)), values(i)))
			}
		}
	}
	require.LessOrEqual(t, len(table.entries), 1024)
}

// TestTableKnowsWords: an entry has its series' word, from the next growth on also where the
// store opened later.
func TestTableKnowsWords(t *testing.T) {
	s := NewSet(SetOptions{})
	v := must(s.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	for n := range 5 {
		v.WithLabelValues(strconv.Itoa(n))
	}
	require.NoError(t, s.Open())
	for n := range 100 {
		v.WithLabelValues(strconv.Itoa(n))
	}
	table, n := v.v.table.Load(), 0
	table.each(func(i int, s *series) {
		require.Equal(t, s.first, table.entries[i].word)
		n++
	})
	require.Equal(t, 100, n)
}

// TestWaitingCountsAreTakenOnce: opening and a count that meets it may both
// flush what waits.
func TestWaitingCountsAreTakenOnce(t *testing.T) {
	s := NewSet(SetOptions{})
	for range 3 {
		s.count(countDiscarded)
	}
	store := access.Store(s)
	s.flush(countDiscarded, store)
	s.count(countDiscarded)
	r := store.Reader(nil)
	require.NoError(t, r.Refresh())
	require.EqualValues(t, 4, r.Count(mpm.DiscardedCalls))
}

// TestPublisherStartsAtOnce: a gauge function is not unset for a period.
func TestPublisherStartsAtOnce(t *testing.T) {
	s := NewSet(SetOptions{Dir: t.TempDir(), PublishPeriod: 1 << 62})
	called := make(chan struct{}, 1)
	must(s.NewGaugeFunc(GaugeOpts{Name: "f", Help: "F."}, func() float64 {
		select {
		case called <- struct{}{}:
		default:
		}
		return 1
	}))
	require.Empty(t, called, "not before the store opens")
	require.NoError(t, s.Open())
	<-called
	require.NoError(t, s.Close())
}

// TestRemovedSeriesDoNotWait: what is removed before the store opens is
// forgotten.
func TestRemovedSeriesDoNotWait(t *testing.T) {
	s := NewSet(SetOptions{})
	v := must(s.NewGaugeVec(GaugeOpts{Name: "g", Help: "G."}, []string{"l"}))
	i := must(s.NewInfoVec(InfoOpts{Name: "i", Help: "I."}, []string{"l"}))
	for n := range 100 {
		v.WithLabelValues(strconv.Itoa(n))
		i.WithLabelValues(strconv.Itoa(n))
	}
	v.Reset()
	i.Reset()
	require.Empty(t, s.unbound)
}
