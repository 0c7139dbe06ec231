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

// Init makes a zero Recorder count in cells. add returns the words of a new region, which are
// zero and which readers know from then on, or nil if there is no room for it. Calls of add do
// not overlap.
func (r *Recorder) Init(d Definition, cells *[Cells]uint64, add func(Region) *[RegionBuckets]uint64) {
	r.cells, r.definition, r.add = cells, d, add
	r.table.Store(newTable(d.Schema, d.Threshold, nil))
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
	schema := r.definition.Schema
	counts := r.place(schema, math.Signbit(x), Of(schema).Index(x))
	if counts == nil {
		return false
	}
	addFloat(&r.cells[CellSum], x)
	atomic.AddUint64(counts, 1)
	return true
}

// Take adds what another recorder of the same declaration has counted in a region. It returns
// false if there was no room for some of it.
func (r *Recorder) Take(from Region) bool {
	ok := true
	for j, n := range from.Counts {
		if n == 0 {
			continue
		}
		if counts := r.place(from.Schema, from.Negative, RegionBuckets*from.Number+int32(j)); counts != nil {
			atomic.AddUint64(counts, n)
		} else {
			ok = false
		}
	}
	return ok
}

// place returns the word that has bucket i of that schema, or nil if there is no room. It
// lowers the schema if it has to, or if there would be too many regions.
func (r *Recorder) place(schema int, negative bool, i int32) *uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if schema < r.table.Load().buckets.Schema() {
		r.useSchema(schema)
	}
	for {
		t := r.table.Load()
		now := t.buckets.Schema()
		at := Reduce(i, schema-now)
		counts := t.find(RegionOf(at), negative) // another goroutine may have been faster
		if counts == nil && now > MinSchema && t.regions >= Regions(r.definition.Limit) {
			r.useSchema(r.lowered(now, negative, at))
			continue
		}
		if counts == nil {
			made := Region{Schema: now, Negative: negative, Number: RegionOf(at)}
			if made.Counts = r.add(made); made.Counts == nil {
				return nil
			}
			r.regions = append(r.regions, made)
			r.useSchema(now)
			counts = made.Counts
		}
		return &counts[at&(RegionBuckets-1)]
	}
}

// useSchema makes values count at that schema. mu is held, or nobody else has r.
func (r *Recorder) useSchema(schema int) {
	r.table.Store(newTable(schema, r.definition.Threshold, r.regions))
}

// lowered returns the finest schema below that one at which all that was counted, and bucket at
// of that schema, is in few enough regions.
func (r *Recorder) lowered(from int, negative bool, at int32) int {
	type place struct {
		negative bool
		number   int32
	}
	schema := from - 1
	for ; schema > MinSchema; schema-- {
		places := map[place]struct{}{{negative, RegionOf(Reduce(at, from-schema))}: {}}
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

// Restart makes the schema the declared one again, after the words were set back.
func (r *Recorder) Restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.useSchema(r.definition.Schema)
}

// Count returns how many observations there are, with those of NaN or without.
func (r *Recorder) Count(nan bool) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := atomic.LoadUint64(&r.cells[CellZero])
	if nan {
		n += atomic.LoadUint64(&r.cells[CellNaN])
	}
	for _, region := range r.regions {
		for j := range region.Counts {
			n += atomic.LoadUint64(&region.Counts[j])
		}
	}
	return n
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

// AddTo adds what was observed to t, with the definition.
func (r *Recorder) AddTo(t *Total) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Define(r.definition)
	t.Zero += atomic.LoadUint64(&r.cells[CellZero])
	t.NaN += atomic.LoadUint64(&r.cells[CellNaN])
	var counts [RegionBuckets]uint64
	for _, region := range r.regions {
		for j := range counts {
			counts[j] = atomic.LoadUint64(&region.Counts[j])
		}
		t.AddRegion(region.Schema, region.Negative, region.Number, &counts)
	}
}
