package histogram

import (
	"math"
	"sync"
	"sync/atomic"
)

// Cells of a native histogram, as a file has them. Its regions have the rest.
const (
	CellSum  = 0 // f64
	CellZero = 1 // observations within the threshold
	CellNaN  = 2 // observations of NaN

	Cells = 3
)

// Region is 8 neighbouring buckets of one sign and their counts.
type Region struct {
	Schema   int
	Negative bool
	Number   int32
	Counts   *[RegionBuckets]uint64 // only accessed atomically
}

// Recorder counts observations in words that readers of other processes see: in cells that
// always exist, and in regions that it asks for when the first value comes that needs them.
// It is safe for concurrent use.
//
// Invariants, of all that a reader may find after a kill at any store:
//  1. A count never moves. If the schema is lowered, what was counted stays in its region.
//  2. A value is in the sum before it is in a count, and it is in one count.
//  3. The sum is NaN before an observation of NaN is counted.
type Recorder struct {
	table atomic.Pointer[table] // where values are counted now
	cells *[Cells]uint64

	definition Definition
	add        func(Region) *[RegionBuckets]uint64

	mu      sync.Mutex
	regions []Region // all of them; the tables have those of their schema
}

// NewRecorder returns a recorder that counts in cells. add returns the words of a new region,
// which are zero and which readers know from then on, or nil if there is no room for it. Calls
// of add do not overlap.
func NewRecorder(d Definition, cells *[Cells]uint64, add func(Region) *[RegionBuckets]uint64) *Recorder {
	r := &Recorder{cells: cells, definition: d, add: add}
	r.table.Store(newTable(d.Schema, d.Threshold, nil))
	return r
}

const signBit = 1 << 63

// Observe counts x. It returns false if there was no room for a region; then nothing has been
// counted. Only a value that needs a new region takes a lock or allocates.
func (r *Recorder) Observe(x float64) bool {
	t := r.table.Load()
	bits := math.Float64bits(x)
	if magnitude := bits &^ signBit; magnitude <= t.threshold || magnitude > exponentMax<<mantissaBits {
		r.observeCell(x)
		return true
	}
	i := t.buckets.Index(x)
	counts := t.find(RegionOf(i), bits&signBit != 0)
	if counts == nil {
		return r.observeNew(x)
	}
	addFloat(&r.cells[CellSum], x)
	atomic.AddUint64(&counts[i&(RegionBuckets-1)], 1)
	return true
}

// observeCell counts a value that is in no region: NaN, or one within the threshold.
func (r *Recorder) observeCell(x float64) {
	cell := &r.cells[CellZero]
	if x != x {
		cell = &r.cells[CellNaN]
	}
	addFloat(&r.cells[CellSum], x)
	atomic.AddUint64(cell, 1)
}

// observeNew counts a value that had no region.
func (r *Recorder) observeNew(x float64) bool {
	counts, i := r.makeRegion(x)
	if counts == nil {
		return false
	}
	addFloat(&r.cells[CellSum], x)
	atomic.AddUint64(&counts[i&(RegionBuckets-1)], 1)
	return true
}

// makeRegion returns the region of x, with the number of its bucket, or nil if there is no
// room. It lowers the schema if there would be too many regions.
func (r *Recorder) makeRegion(x float64) (counts *[RegionBuckets]uint64, i int32) {
	negative := math.Signbit(x)
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		t := r.table.Load()
		i = t.buckets.Index(x)
		if counts = t.find(RegionOf(i), negative); counts != nil {
			return counts, i // another goroutine was faster
		}
		schema := t.buckets.Schema()
		if schema > MinSchema && t.regions >= Regions(r.definition.Limit) {
			r.useSchema(r.lowered(schema, x))
			continue
		}
		made := Region{Schema: schema, Negative: negative, Number: RegionOf(i)}
		if made.Counts = r.add(made); made.Counts == nil {
			return nil, 0
		}
		r.regions = append(r.regions, made)
		r.useSchema(schema)
		return made.Counts, i
	}
}

// useSchema makes values count at that schema. mu is held, or nobody else has r.
func (r *Recorder) useSchema(schema int) {
	r.table.Store(newTable(schema, r.definition.Threshold, r.regions))
}

// lowered returns the finest schema below that one at which all that was counted, and x, is
// in few enough regions.
func (r *Recorder) lowered(schema int, x float64) int {
	type place struct {
		negative bool
		number   int32
	}
	for schema--; schema > MinSchema; schema-- {
		places := map[place]struct{}{{math.Signbit(x), RegionOf(Of(schema).Index(x))}: {}}
		for _, region := range r.regions {
			for j := range region.Counts {
				if atomic.LoadUint64(&region.Counts[j]) == 0 {
					continue
				}
				// After a restart, somebody late may have counted at a coarser schema.
				i := Reduce(RegionBuckets*region.Number+int32(j), max(0, region.Schema-schema))
				places[place{region.Negative, RegionOf(i)}] = struct{}{}
			}
		}
		if len(places) <= Regions(r.definition.Limit) {
			break
		}
	}
	return schema
}

// Restart sets all counts and the sum to 0. The schema is the declared one again. Concurrent
// observations count before or after it.
func (r *Recorder) Restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.cells {
		atomic.StoreUint64(&r.cells[i], 0)
	}
	for _, region := range r.regions {
		for j := range region.Counts {
			atomic.StoreUint64(&region.Counts[j], 0)
		}
	}
	r.useSchema(r.definition.Schema)
}

// addFloat adds x to the f64 in a word.
func addFloat(w *uint64, x float64) {
	for {
		old := atomic.LoadUint64(w)
		if atomic.CompareAndSwapUint64(w, old, math.Float64bits(math.Float64frombits(old)+x)) {
			return
		}
	}
}

// table leads to the regions of a schema. It never changes.
type table struct {
	buckets   *Buckets
	threshold uint64 // the bits of the largest value of the zero bucket
	regions   int
	sides     [2]slots // of positive and of negative values
}

// slots is a hash table with open addressing. At least half of it is empty.
type slots struct {
	all []slot // a power of 2, or none
}

type slot struct {
	number int32
	counts *[RegionBuckets]uint64 // nil if the slot is empty
}

// newTable returns a table of those of the regions that have that schema.
func newTable(schema int, threshold float64, regions []Region) *table {
	t := &table{buckets: Of(schema), threshold: math.Float64bits(threshold)}
	var n [2]int
	for _, r := range regions {
		if r.Schema == schema {
			n[sideOf(r.Negative)]++
			t.regions++
		}
	}
	for i := range t.sides {
		if n[i] > 0 {
			size := 4
			for size < 2*n[i] {
				size *= 2
			}
			t.sides[i].all = make([]slot, size)
		}
	}
	for _, r := range regions {
		if r.Schema == schema {
			t.sides[sideOf(r.Negative)].put(r)
		}
	}
	return t
}

func sideOf(negative bool) int {
	if negative {
		return 1
	}
	return 0
}

func (s *slots) put(r Region) {
	mask := uint32(len(s.all) - 1)
	at := uint32(r.Number) & mask
	for s.all[at].counts != nil {
		at = (at + 1) & mask
	}
	s.all[at] = slot{r.Number, r.Counts}
}

// find returns the counts of a region, or nil.
func (t *table) find(number int32, negative bool) *[RegionBuckets]uint64 {
	all := t.sides[sideOf(negative)].all
	if len(all) == 0 {
		return nil
	}
	at := int(uint32(number)) & (len(all) - 1)
	for {
		s := &all[at]
		if s.number == number || s.counts == nil {
			return s.counts
		}
		at = (at + 1) & (len(all) - 1)
	}
}
