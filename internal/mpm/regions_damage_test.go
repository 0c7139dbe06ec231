package mpm

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
)

// TestHostileRegions: a region that says what no writer would costs itself at most, and words
// that two claim belong to one of them.
func TestHostileRegions(t *testing.T) {
	const series, regions = 20, 3 // of each
	s, err := Create(t.TempDir(), Options{})
	require.NoError(t, err)
	f, err := s.AddSchema(nativeSchema("n", "l"))
	require.NoError(t, err)
	c, err := s.AddSchema(counterSchema("c"))
	require.NoError(t, err)
	counter, err := s.AddSeries(c, nil, nil)
	require.NoError(t, err)
	var all []*Series
	for i := range series {
		one, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
		require.NoError(t, err)
		for k := range regions {
			one.AddRegion(histogram.Region{Schema: 3, Number: int32(k)})[0] = uint64(i + 1)
		}
		all = append(all, one)
	}
	good, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	r := s.Reader(nil)
	require.NoError(t, r.Refresh())
	found := r.Regions()
	first, second := int(found[0].Offset), int(found[1].Offset)
	of := func(i int) uint32 { return uint32(all[i].at.record) }

	for name, tc := range map[string]struct {
		corrupt func(b []byte) // the region at first; its checksum is mended
		regions int            // that are read
		damaged int
	}{
		"nothing":                   {func([]byte) {}, series * regions, 0},
		"of no series":              {put(first+offRegSeries, 0), series*regions - 1, 1},
		"of a place without series": {put(first+offRegSeries, of(0)+1), series*regions - 1, 0},
		"of itself":                 {put(first+offRegSeries, uint32(first/8)), series*regions - 1, 0},
		"of another region":         {put(first+offRegSeries, uint32(second/8)), series*regions - 1, 0},
		"of a place after the file": {put(first+offRegSeries, 1<<32-1), series*regions - 1, 0},
		"of a counter":              {put(first+offRegSeries, uint32(counter.at.record)), series*regions - 1, 1},
		"of another series":         {put(first+offRegSeries, of(1)), series * regions, 0},
		"words of another region": {func(b []byte) {
			copy(b[first+offRegCells:][:4], b[second+offRegCells:])
		}, series*regions - 1, 1},
		"words of a series": {put(first+offRegCells, uint32(all[0].at.cells)&^7), series*regions - 1, 1},
		"words in the middle of a line": {func(b []byte) {
			le.PutUint32(b[first+offRegCells:], le.Uint32(b[first+offRegCells:])+1)
		}, series*regions - 1, 1},
		"words among records":                    {put(first+offRegCells, blockWords/2), series*regions - 1, 1},
		"words after the last block":             {put(first+offRegCells, 1<<32-8), series*regions - 1, 1},
		"words that were not published":          {put(first+offRegCells, le.Uint32(good[first+offRegCells:])|blockWords/2), series*regions - 1, 1},
		"the header of a block as words":         {func(b []byte) { le.PutUint32(b[first+offRegCells:], le.Uint32(b[first+offRegCells:])&^(blockWords-1)) }, series*regions - 1, 1},
		"a schema that the family does not have": {func(b []byte) { b[first+offRegSchema] = 4 }, series*regions - 1, 1},
		"a schema that is none":                  {func(b []byte) { b[first+offRegSchema] = 9 }, series*regions - 1, 1},
		"a sign that is none":                    {func(b []byte) { b[first+offRegNegative] = 2 }, series*regions - 1, 1},
		"buckets of no value":                    {put(first+offRegNumber, 1<<31-1), series*regions - 1, 1},
		"equal buckets":                          {func(b []byte) { copy(b[first+offRegSchema:][:8], b[second+offRegSchema:]) }, series * regions, 0},
		"removed":                                {put(first+offRecState, stateRemoved), series*regions - 1, 0},
		"free":                                   {put(first+offRecState, stateFree), series*regions - 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bad := append([]byte(nil), good...)
			tc.corrupt(bad)
			rec := bad[first:][:le.Uint32(bad[first:])]
			le.PutUint32(rec[offRecCRC:], recordCRC(rec))
			path := filepath.Join(t.TempDir(), filepath.Base(s.Path()))
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			problems, err := Verify(path, ReadOptions{})
			require.NoError(t, err)
			require.Len(t, problems, tc.damaged)
			for _, gaps := range []int{0, mostGaps} {
				r, err := Open(path, ReadOptions{})
				require.NoError(t, err)
				defer r.Close()
				r.parser.gaps = gaps
				read := follow(t, r)
				for range 3 {
					read.read()
					_, damaged := r.Damaged()
					require.Equal(t, tc.damaged, damaged)
					require.Len(t, r.Regions(), tc.regions)
					live := r.List()
					require.Equal(t, series+1, live.Count())
				}
				require.True(t, read.last.Regions.Same())
			}
		})
	}
}

func put(off int, v uint32) func(b []byte) { return func(b []byte) { le.PutUint32(b[off:], v) } }

// TestRegionsOfAnotherPlace: a series that has the place of one that was reclaimed has none of
// its regions, also if a writer was killed before it could free them.
func TestRegionsOfAnotherPlace(t *testing.T) {
	s := NewHeap(Options{})
	f, err := s.AddSchema(nativeSchema("n", "l"))
	require.NoError(t, err)
	old, err := s.AddSeries(f, []string{"a"}, nil)
	require.NoError(t, err)
	old.AddRegion(histogram.Region{Schema: 3})[0] = 7
	read := follow(t, s.Reader(nil))
	read.read()
	require.Len(t, read.r.Regions(), 1)
	rest, _ := old.remove()
	read.read()
	require.True(t, read.r.Regions()[0].Removed)
	require.Equal(t, uint64(7), read.regions[0])

	stop := errStop{}
	stores := 0
	s.stored = func() {
		if stores++; stores == 3 { // state, kind and gen
			panic(stop)
		}
	}
	require.PanicsWithValue(t, stop, func() { s.makeFree(rest) })
	s.stored = nil
	for range 2 {
		now := read.read()
		require.Empty(t, read.r.Regions())
		require.Empty(t, now.Regions.Added)
	}
	_, damaged := read.r.Damaged()
	require.Zero(t, damaged)
}

type errStop struct{}

// TestRegionOfTheNextSeries: while a file is read, a removed series is reclaimed after its block
// was walked, and a new one has its place, with a region in a block that was not. The region is
// not taken for one of the old series, and the next reading has it.
func TestRegionOfTheNextSeries(t *testing.T) {
	s := NewHeap(Options{})
	f, err := s.AddSchema(nativeSchema("n", "l"))
	require.NoError(t, err)
	old, err := s.AddSeries(f, []string{"old"}, nil)
	require.NoError(t, err)
	rest, _ := old.remove()
	c, err := s.AddSchema(counterSchema("c", "l"))
	require.NoError(t, err)
	other, err := s.AddSeries(f, []string{"other"}, nil)
	require.NoError(t, err)
	other.AddRegion(histogram.Region{Schema: 3}) // so that lines have a block
	for s.meta.index == 0 || len(s.blocks) < 5 { // two META blocks after the first
		_, err := s.AddSeries(c, []string{strings.Repeat("x", 2000)}, nil)
		require.NoError(t, err)
	}
	r := newReader(s.header, "", frozen{func() [][]byte { return s.blocks }}, nil)
	r.elapsed = func() time.Duration { return 0 }
	done := false
	r.parser.between = func() {
		if !r.parser.known[0].walked || done {
			return
		}
		s.makeFree(rest)
		next, err := s.AddSeries(f, []string{"new"}, nil)
		require.NoError(t, err)
		require.Equal(t, rest.record, next.at.record)
		s.freeMeta = freeSpace{} // the region's record is in the last block
		next.AddRegion(histogram.Region{Schema: 3})[0] = 7
		done = true
	}
	require.NoError(t, r.Refresh())
	require.True(t, done)
	require.Len(t, r.Regions(), 1, "that of the other series")
	r.parser.between = nil
	require.NoError(t, r.Refresh())
	require.Len(t, r.Regions(), 2)
	for _, one := range r.Regions() {
		require.False(t, one.Removed)
	}
	_, damaged := r.Damaged()
	require.Zero(t, damaged)
}
