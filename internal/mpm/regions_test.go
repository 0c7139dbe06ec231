package mpm

import (
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

func nativeSchema(name string, labels ...string) *metric.Schema {
	return &metric.Schema{
		Name: name, Type: metric.Histogram, Labels: labels, Bounds: []float64{1, 2}, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, MaxExemplars: 2},
	}
}

// regionWriter writes regions by hand.
type regionWriter struct {
	s     *Store
	lines cursor
	free  []wordOffset // lines
}

// add publishes a region of a series.
func (w *regionWriter) add(s *Series, schema int, negative bool, number int32) (at wordOffset, counts *[histogram.RegionBuckets]uint64) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.lines.block == nil || w.lines.room() < cacheLine && len(w.free) == 0 {
		old := w.lines
		if old.block == nil {
			old = cursor{block: make([]byte, 0)}
		}
		if err := w.s.newBlock(&old, blockCells); err != nil {
			panic(err)
		}
		w.lines = old
	}
	var line wordOffset
	if n := len(w.free); n > 0 {
		line, w.free = w.free[n-1], w.free[:n-1]
	} else {
		line = w.lines.take(cacheLine)
		w.s.publish(&w.lines)
	}
	counts = (*[histogram.RegionBuckets]uint64)(words(w.s.bytes(line, cacheLine), 0, histogram.RegionBuckets))
	for i := range counts {
		atomic.StoreUint64(&counts[i], 0)
		w.s.hook()
	}
	rec := regionRecord{series: s.at.record, cells: line, schema: int8(schema), negative: negative, number: number}
	at, err := w.s.addRecord(rec.encode())
	if err != nil {
		panic(err)
	}
	return at, counts
}

// reclaim makes a removed series and its regions free.
func (w *regionWriter) reclaim(r removedSeries, regions []wordOffset) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.putState(w.s.record(r.location), stateFree)
	w.s.changed(r.record)
	for _, at := range regions {
		rec := w.s.bytes(at, regionSize)
		n := int(loadWord(rec, offRecLen) & (1<<32 - 1))
		rec = w.s.bytes(at, n)
		line := wordOffset(loadWord(rec, offRegSeries) >> 32)
		w.s.putState(rec, stateFree)
		w.s.put(rec, offRecLen, recordHead(n, kindSeries))
		w.s.changed(at)
		w.s.freeMeta.add(at, n/8)
		w.free = append(w.free, line)
	}
	w.s.freeMeta.add(r.record, int(r.size)/8)
	w.s.freeCells.add(r.cells, cellsSize(r.schema))
}

// ownedSeries is a series of the test with its regions.
type ownedSeries struct {
	*Series
	id      int
	regions []wordOffset
	counts  []*[histogram.RegionBuckets]uint64
	rest    removedSeries
	removed time.Duration
}

const ownerBits = 24

func (s *ownedSeries) count(r *rand.Rand) {
	for _, c := range s.counts {
		i := r.IntN(len(c))
		now := atomic.LoadUint64(&c[i])
		if now == 0 {
			now = uint64(s.id) << ownerBits
		}
		atomic.StoreUint64(&c[i], now+1)
	}
}

// TestReaderOfRegions: whatever a writer does between the records of a walk, each region that
// is read has the counts of its own series, and none of a series that stays is missing.
func TestReaderOfRegions(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { readRegions(t, seed) })
	}
}

func readRegions(t *testing.T, seed uint64) {
	const keep = 100
	r := rand.New(rand.NewPCG(seed, 3))
	now := time.Duration(0) // ticks at every step of the writer
	s := NewHeap(Options{KeepRemoved: keep, Elapsed: func() time.Duration { return now }})
	w := &regionWriter{s: s}
	f, err := s.AddSchema(nativeSchema("n", "l"))
	require.NoError(t, err)
	c, err := s.AddSchema(counterSchema("c", "l"))
	require.NoError(t, err)
	var living, removed []*ownedSeries
	id := 0
	step := func() {
		now++
		switch n := r.IntN(10); {
		case n < 2 && len(living) < 60 || len(living) == 0:
			id++
			schema := f
			if r.IntN(8) == 0 {
				schema = c
			}
			one, err := s.AddSeries(schema, []string{strconv.Itoa(id) + "-" + strings.Repeat("x", r.IntN(40))}, nil)
			require.NoError(t, err)
			living = append(living, &ownedSeries{Series: one, id: id})
			require.Less(t, len(s.blocks), 20)
		case n < 5:
			if one := living[r.IntN(len(living))]; one.ref == f && len(one.regions) < 6 {
				at, counts := w.add(one.Series, r.IntN(8)-4, r.IntN(3) == 0, int32(r.IntN(7)-3))
				one.regions, one.counts = append(one.regions, at), append(one.counts, counts)
			}
		case n < 7 && len(removed) < 60:
			i := r.IntN(len(living))
			one := living[i]
			living = append(living[:i], living[i+1:]...)
			one.rest, _ = one.remove()
			one.removed = now
			removed = append(removed, one)
		case n < 8 && len(removed) > 0 && now-removed[0].removed >= keep:
			w.reclaim(removed[0].rest, removed[0].regions)
			removed = removed[1:]
		default:
			living[r.IntN(len(living))].count(r)
			if len(removed) > 0 { // code that holds a removed series may update it
				removed[r.IntN(len(removed))].count(r)
			}
		}
	}
	budget := 0 // of steps while a file is read
	reader := newReader(s.header, "", frozen{func() [][]byte { return s.blocks }}, nil)
	reader.elapsed = func() time.Duration { return now }
	reader.parser.gaps = int(seed%2) * mostGaps
	reader.parser.pause = func(time.Duration) {
		if budget > 0 {
			budget--
			step()
		}
	}
	read := follow(t, reader)
	often := []int{2, 10, 100}[seed%3]
	some := 0
	for range 100 {
		for range r.IntN(40) {
			step()
		}
		before := append([]*ownedSeries(nil), living...)
		regions := make([]int, len(before))
		for i, one := range before {
			regions[i] = len(one.regions)
		}
		budget = r.IntN(120)
		reader.parser.between = func() {
			if budget > 0 && r.IntN(often) == 0 {
				budget--
				step()
			}
		}
		reading, err := reader.Read(read.live, read.removed, read.regions)
		reader.parser.between = nil
		if err != nil {
			require.ErrorIs(t, err, ErrStale)
			continue
		}
		read.apply(&reading)
		damage, n := reader.Damaged()
		require.Zero(t, n, "%v", damage)
		found := map[int]int{}
		live, gone, list := reader.List(), reader.RemovedList(), reader.RegionList()
		for i := range list.Len() {
			if !list.Has(i) {
				continue
			}
			of, n := &live, int(read.owners[i])
			if n < 0 {
				of, n = &gone, ^n
			}
			require.True(t, of.Has(n))
			info := of.At(n)
			require.Equal(t, f.schema, info.Schema)
			owner := idOf(&info)
			found[owner]++
			for _, word := range read.regions[histogram.RegionBuckets*i:][:histogram.RegionBuckets] {
				require.True(t, word == 0 || int(word>>ownerBits) == owner, "region %d of series %d has a word of series %d", i, owner, word>>ownerBits)
			}
			some++
		}
		if reader.Unsettled() == 0 {
			for i, one := range before {
				if one.removed == 0 {
					require.GreaterOrEqual(t, found[one.id], regions[i], "of series %d", one.id)
				}
			}
		}
	}
	require.Greater(t, some, 1000)
	// Nothing happens any more: a reader that has followed has what a new one finds.
	read.read()
	cold := follow(t, newReader(s.header, "", frozen{func() [][]byte { return s.blocks }}, nil))
	cold.r.elapsed = reader.elapsed
	cold.read()
	require.True(t, maps.Equal(regionsOf(cold), regionsOf(read)), "%d and %d regions", len(regionsOf(cold)), len(regionsOf(read)))
	require.Equal(t, cold.r.Space(), read.r.Space())
}

// foundRegion is a region of a series.
type foundRegion struct {
	series   string
	schema   int
	negative bool
	number   int32
}

// regionsOf returns what a follower has of regions. Those of the same buckets add up.
func regionsOf(f *follower) map[foundRegion][histogram.RegionBuckets]uint64 {
	out := map[foundRegion][histogram.RegionBuckets]uint64{}
	list, live, gone := f.r.RegionList(), f.r.List(), f.r.RemovedList()
	for i := range list.Len() {
		if !list.Has(i) {
			continue
		}
		of, n := &live, int(f.owners[i])
		if n < 0 {
			of, n = &gone, ^n
		}
		s := of.At(n)
		key := foundRegion{s.EncodedLabels(), list.Schema(i), list.Negative(i), list.Number(i)}
		counts := out[key]
		for j := range counts {
			counts[j] += f.regions[histogram.RegionBuckets*i+j]
		}
		out[key] = counts
	}
	return out
}
