package mpm

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTexts interns texts of all lengths in any order, twice. Each has one symbol, which
// stays valid until it is dropped.
func TestTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var all []string
	for i := range 20_000 {
		all = append(all, strings.Repeat("x", r.IntN(40))+strconv.Itoa(i))
	}
	for _, n := range []int{maxSymbolChunk - 8, maxSymbolChunk, 3 * maxSymbolChunk} { // including texts longer than a chunk
		all = append(all, strings.Repeat("y", n), "after "+strconv.Itoa(n))
	}
	all = append(all, "")
	var symbols SymbolTable
	require.Zero(t, symbols.Find("nothing"))
	ids := map[string]Symbol{}
	shuffled := slices.Clone(all)
	r.Shuffle(len(all), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, pass := range [][]string{all, all, shuffled} {
		for _, s := range pass {
			id, ok := symbols.Intern(s)
			require.True(t, ok)
			require.NotZero(t, id)
			if known := ids[s]; known != 0 {
				require.Equal(t, known, id)
			}
			ids[s] = id
		}
	}
	require.Equal(t, len(all), symbols.Len())
	for s, id := range ids { // in any order
		require.Equal(t, s, symbols.Lookup(id))
		require.Equal(t, id, symbols.Find(s))
	}
	require.Zero(t, symbols.Find("nothing"))
}

// TestRenewedTexts drops what is not in use. The rest gets new symbols, and strings that are
// still referenced stay valid.
func TestRenewedTexts(t *testing.T) {
	var symbols SymbolTable
	var ids []Symbol
	var held []string
	for i := range 10_000 {
		id, ok := symbols.Intern(strconv.Itoa(i))
		require.True(t, ok)
		ids, held = append(ids, id), append(held, symbols.Lookup(id))
	}
	used := append([]Symbol{0}, ids[9_000:]...) // 0 stands for no text, and stays
	symbols.Renew(func(yield func(*Symbol) bool) {
		for i := range used {
			yield(&used[i])
		}
	})
	require.Equal(t, 1_000, symbols.Len())
	require.Zero(t, used[0])
	for i, s := range held {
		require.Equal(t, strconv.Itoa(i), s)
		if i < 9_000 {
			require.Zero(t, symbols.Find(s))
		} else {
			require.Equal(t, s, symbols.Lookup(used[1+i-9_000]))
		}
	}
}

// TestSharedLists: readers of workers with the same series share entries until one differs. A
// list that is still referenced never changes.
func TestSharedLists(t *testing.T) {
	dir := t.TempDir()
	symbols := &SymbolTable{}
	var stores []*Store
	var readers []*Reader
	for range 3 {
		s, err := Create(dir, Options{})
		require.NoError(t, err)
		f, err := s.AddSchema(counterSchema("c", "l"))
		require.NoError(t, err)
		for i := range 100 {
			_, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
			require.NoError(t, err)
		}
		r, err := Open(s.Path(), ReadOptions{Symbols: symbols})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		require.NoError(t, r.Refresh())
		stores, readers = append(stores, s), append(readers, r)
	}
	require.Equal(t, 100, symbols.Len())
	first := readers[0].List()
	for _, r := range readers {
		l := r.List()
		require.Same(t, &first.labels.all[0], &l.labels.all[0])
		require.Same(t, &first.records.all[0], &l.records.all[0])
	}
	for i, s := range stores { // each continues in its own way
		f, err := s.AddSchema(counterSchema("d"+strconv.Itoa(i), "l"))
		require.NoError(t, err)
		for j := range 150 + i {
			_, err := s.AddSeries(f, []string{strconv.Itoa(i * j)}, nil)
			require.NoError(t, err)
		}
		require.NoError(t, readers[i].Refresh())
	}
	for i, r := range readers {
		l := r.List()
		require.Equal(t, 250+i, l.Len())
		for j := range l.Len() {
			want, name := strconv.Itoa(j), "c"
			if j >= 100 {
				want, name = strconv.Itoa(i*(j-100)), "d"+strconv.Itoa(i)
			}
			info := l.At(j)
			require.Equal(t, name, info.Schema.Name)
			require.Equal(t, []string{want}, info.Values())
			require.Equal(t, symbols.Lookup(l.Symbol(j)), info.EncodedLabels())
		}
	}
	require.Equal(t, 100, first.Len())
	info := first.At(99)
	require.Equal(t, []string{"99"}, info.Values())
	// Each symbol is yielded once, although lists share them.
	seen := map[*Symbol]bool{}
	lists := []SeriesList{first, readers[0].List(), readers[1].List(), readers[2].List()}
	for id := range Symbols(slices.Values(lists)) {
		require.False(t, seen[id])
		seen[id] = true
	}
	for _, l := range lists {
		for i := range l.labels.all {
			require.True(t, seen[&l.labels.all[i]])
		}
	}
}

// TestListsThatDiffer: a list that begins like another one uses its entries until they differ,
// wherever that is.
func TestListsThatDiffer(t *testing.T) {
	dir := t.TempDir()
	symbols := &SymbolTable{}
	write := func(values ...int) *Reader {
		s, err := Create(dir, Options{})
		require.NoError(t, err)
		f, err := s.AddSchema(counterSchema("c", "l"))
		require.NoError(t, err)
		for _, v := range values {
			_, err := s.AddSeries(f, []string{strconv.Itoa(v)}, nil)
			require.NoError(t, err)
		}
		r, err := Open(s.Path(), ReadOptions{Symbols: symbols})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		require.NoError(t, r.Refresh())
		return r
	}
	upTo := func(n int, then ...int) []int {
		out := make([]int, n, n+len(then))
		for i := range out {
			out[i] = i
		}
		return append(out, then...)
	}
	all := [][]int{
		upTo(1000), upTo(400), upTo(1000), upTo(600, 5000, 601, 602), upTo(1000, 7000, 7001), upTo(999, 8000),
		{9000, 1, 2}, upTo(1, 9000), {9000, 1, 2}, upTo(1000), {}, upTo(600, 5000, 601),
	}
	var readers []*Reader
	for _, values := range all {
		readers = append(readers, write(values...))
	}
	for i, r := range readers {
		alone, err := Open(r.Path(), ReadOptions{})
		require.NoError(t, err)
		defer alone.Close()
		require.NoError(t, alone.Refresh())
		l, want := r.List(), alone.List()
		require.Equal(t, want.created, l.created)
		require.Equal(t, len(all[i]), l.Len())
		for j, v := range all[i] {
			info := l.At(j)
			require.Equal(t, []string{strconv.Itoa(v)}, info.Values(), "list %d", i)
		}
		require.Nil(t, l.labels.like, "list %d holds another", i)
		require.Nil(t, l.records.like, "list %d holds another", i)
		require.LessOrEqual(t, cap(l.labels.all), l.Len()+l.Len()/8)
		require.LessOrEqual(t, cap(l.records.all), l.Len()+l.Len()/8)
		require.LessOrEqual(t, cap(l.created), len(l.created)+len(l.created)/8)
	}
	for a, b := range map[int]int{1: 0, 2: 0, 9: 0, 8: 6, 11: 3} {
		mine, other := readers[a].List(), readers[b].List()
		require.Same(t, &other.labels.all[0], &mine.labels.all[0], "list %d has a copy", a)
		require.Same(t, &other.records.all[0], &mine.records.all[0], "list %d has a copy", a)
	}
}

// TestSharedListsOfTheDead: entries that no reader uses are not kept for sharing.
func TestSharedListsOfTheDead(t *testing.T) {
	var shared sharedColumns[recordRef]
	kept := shared.share([]recordRef{{record: 1}, {record: 2}})
	for i := range 3 {
		shared.share([]recordRef{{record: 10 + wordOffset(i)}, {record: 20}})
	}
	require.Len(t, shared.all, 4)
	runtime.GC() // after it, weak pointers to unreachable lists are nil
	again := shared.share([]recordRef{{record: 1}})
	require.Len(t, shared.all, 1)
	require.Same(t, &kept[0], &again[0])
	require.Equal(t, 1, cap(again))
}

// TestLargeFileOfFewSeries: the space allocated for a list in advance does not grow with the
// size of the file.
func TestLargeFileOfFewSeries(t *testing.T) {
	s, err := Create(t.TempDir(), Options{})
	require.NoError(t, err)
	f, err := s.AddSchema(counterSchema("c", "l"))
	require.NoError(t, err)
	_, err = s.AddSeries(f, []string{"v"}, nil)
	require.NoError(t, err)
	const size = 1 << 28
	b, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	le.PutUint64(b[offBlocks:], size>>blockShift)
	path := filepath.Join(t.TempDir(), filepath.Base(s.Path()))
	require.NoError(t, os.WriteFile(path, b, 0o600))
	require.NoError(t, os.Truncate(path, size))
	r, err := Open(path, ReadOptions{})
	require.NoError(t, err)
	defer r.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, r.Refresh())
	runtime.ReadMemStats(&after)
	l := r.List()
	require.Equal(t, 1, l.Len())
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(size/32))
}
