package mpm

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
)

// storedRegions returns the records of a kind of a store, by walking its blocks.
func recordsOf(t *testing.T, s *Store, kind uint16) (live, free [][]byte) {
	t.Helper()
	for i, b := range s.blocks {
		header, off := blockStart(i)
		if le.Uint32(b[header+offBlockKind:]) != blockMeta {
			continue
		}
		for used := loadWord(b, header+offBlockUsed); off < used; {
			rec := b[off:][:le.Uint32(b[off:])]
			switch {
			case le.Uint32(rec[offRecState:]) == stateFree:
				require.EqualValues(t, kindSeries, le.Uint16(rec[offRecKind:]), "free records have one kind")
				free = append(free, rec)
			case le.Uint16(rec[offRecKind:]) == kind:
				require.Equal(t, recordCRC(rec), le.Uint32(rec[offRecCRC:]))
				live = append(live, rec)
			}
			off += uint64(len(rec))
		}
	}
	return live, free
}

func region(schema int, negative bool, number int32) histogram.Region {
	return histogram.Region{Schema: schema, Negative: negative, Number: number}
}

func addNative(t *testing.T, s *Store, schema int) (*SchemaRef, *Series) {
	t.Helper()
	f, err := s.AddSchema(nativeSchemas()[schema])
	require.NoError(t, err)
	h, err := s.AddSeries(f, make([]string, len(f.schema.Labels)), nil)
	require.NoError(t, err)
	return f, h
}

func TestAddRegion(t *testing.T) {
	s := NewHeap(Options{})
	_, h := addNative(t, s, 0)
	require.Len(t, h.Words(), 3)
	want := []regionRecord{{schema: 3, number: 5}, {schema: 3, negative: true, number: 5}, {schema: -4, number: -1}}
	seen := map[*regionWords]bool{}
	for i, r := range want {
		w := h.AddRegion(region(int(r.schema), r.negative, r.number))
		require.Equal(t, regionWords{}, *w)
		require.False(t, seen[w])
		seen[w] = true
		for j := range w {
			w[j] = uint64(10*i + j)
		}
	}
	live, _ := recordsOf(t, s, kindNativeSeries)
	require.Len(t, live, 1)
	live, _ = recordsOf(t, s, kindRegion)
	require.Len(t, live, len(want))
	for i, rec := range live {
		got, err := decodeRegion(rec)
		require.NoError(t, err)
		require.EqualValues(t, 10*i+7, s.line(got.cells)[7])
		want[i].series, want[i].cells = h.at.record, got.cells
		require.Equal(t, want[i], got)
	}
	all := h.AllWords()
	was := all.AppendTo(nil)
	require.Len(t, was, 3+3*8)
	require.True(t, all.Same(was))
	w := h.AddRegion(region(2, false, 9))
	require.True(t, all.Same(was), "a region without observations is no change")
	w[3] = 4
	require.False(t, all.Same(was))
	news := all.NewRegions(was)
	require.Len(t, news, 1)
	require.Equal(t, regionWords{3: 4}, *news[0].Counts)
	news[0].Counts = nil
	require.Equal(t, region(2, false, 9), news[0])

	// A reset is inside the pair of resets.
	var resets []uint64
	s.stored = func() { resets = append(resets, loadWord(s.first, offResets)) }
	h.Restart(time.Now(), func(w []uint64) { clear(w) })
	require.Equal(t, make([]uint64, 3+4*8), all.AppendTo(nil))
	require.EqualValues(t, 2, resets[len(resets)-1])
	for _, n := range resets[:len(resets)-1] {
		require.EqualValues(t, 1, n)
	}
}

// TestLinesStayLines: the words of regions are in blocks of their own, and only regions get
// those of reclaimed ones.
func TestLinesStayLines(t *testing.T) {
	s := NewHeap(Options{KeepRemoved: KeepNone})
	f, h := addNative(t, s, 1)
	counter, err := s.AddSchema(counterSchema("c", "n"))
	require.NoError(t, err)
	lines := map[*regionWords]bool{}
	const n = 1500 // more than a block has
	for i := range n {
		w := h.AddRegion(region(-4, i%2 == 1, int32(i%16)))
		w[0] = 7
		lines[w] = true
	}
	blocks := map[uint32]bool{}
	records, _ := recordsOf(t, s, kindRegion)
	for _, rec := range records {
		blocks[le.Uint32(rec[offRegCells:])/blockWords] = true
	}
	require.Len(t, blocks, 2)
	require.Len(t, lines, n)
	kept, err := s.AddSeries(counter, []string{"kept"}, nil)
	require.NoError(t, err)
	rest, ok := h.remove()
	require.True(t, ok)
	late := h.AddRegion(region(-4, false, 3)) // a stale handle
	lines[late] = true
	s.makeFree(rest)
	live, free := recordsOf(t, s, kindRegion)
	require.Empty(t, live, "also the one that came after the removal")
	require.NotEmpty(t, free)
	before := len(s.blocks)
	for range 3000 {
		one, err := s.AddSeries(counter, []string{"x"}, nil)
		require.NoError(t, err)
		at := uint32(one.at.cells / blockWords)
		require.False(t, blocks[at], "a counter has words in a block of lines")
	}
	require.False(t, blocks[uint32(kept.at.cells/blockWords)])
	again, err := s.AddSeries(f, nil, nil)
	require.NoError(t, err)
	grown := len(s.blocks) - before
	for range n {
		w := again.AddRegion(region(-4, false, 1))
		require.Equal(t, regionWords{}, *w)
		require.True(t, lines[w], "lines are used again")
		delete(lines, w)
	}
	require.LessOrEqual(t, len(s.blocks)-before-grown, 1, "only records need another block")
}

// TestRegionsWithoutSpace: a full store refuses regions, and is asked again a while later, or
// as soon as something has become free.
func TestRegionsWithoutSpace(t *testing.T) {
	now := time.Duration(0)
	s := NewHeap(Options{MaxBytes: 3 * BlockSize, Elapsed: func() time.Duration { return now }})
	_, h := addNative(t, s, 0)
	n := 0
	for h.AddRegion(region(3, false, int32(n%100))) != nil {
		n++
	}
	require.Equal(t, (BlockSize-blockHeaderSize)/cacheLine, n)
	lost := func() uint64 { return loadWord(s.first, uint64(FallbackSeries)) }
	require.EqualValues(t, 1, lost())
	limit := s.backing.(*heapBacking)
	limit.max++
	require.Nil(t, h.AddRegion(region(3, false, 1)), "it does not ask the system each time")
	require.EqualValues(t, 2, lost())
	now += regionPause
	require.NotNil(t, h.AddRegion(region(3, false, 1)))
	require.EqualValues(t, 2, lost())

	// A series that is lost itself has its regions with it.
	small := NewHeap(Options{MaxBytes: BlockSize})
	_, on := addNative(t, small, 0)
	require.True(t, on.Lost())
	w := on.AddRegion(region(3, false, 1))
	atomic.StoreUint64(&w[1], 5)
	require.Equal(t, []uint64{0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0}, on.AllWords().AppendTo(nil))
	on.Restart(time.Now(), func(w []uint64) { clear(w) })
	require.Zero(t, w[1])

	require.NoError(t, s.Close())
	require.Nil(t, h.AddRegion(region(3, false, 2)))
	require.NotNil(t, new(Series).AddRegion(region(3, false, 2)), "in no store")
}

// TestRenewRegions: a new life begins with what was counted since the words were compared.
func TestRenewRegions(t *testing.T) {
	s := NewHeap(Options{})
	schema := nativeSchemas()[0]
	schema.TTL = time.Minute
	f, err := s.AddSchema(schema)
	require.NoError(t, err)
	h, err := s.AddSeries(f, []string{"x"}, nil)
	require.NoError(t, err)
	w := h.AddRegion(region(3, false, 5))
	w[2], h.Words()[histogram.CellZero] = 7, 3
	old := h.AllWords().AppendTo(nil)
	h.Expire(time.Now().UnixNano())
	w[2]++
	more := h.AddRegion(region(3, false, 6))
	more[1] = 9
	seen := h.Renew(s.Moment(), old)
	require.Equal(t, regionWords{2: 1}, *w)
	require.Equal(t, regionWords{1: 9}, *more)
	require.Zero(t, h.Words()[histogram.CellZero])
	require.True(t, h.AllWords().Same(seen))
	require.False(t, h.Gone())
}
