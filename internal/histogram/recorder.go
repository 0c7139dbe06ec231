package histogram

import (
	"math"
	"sync"
	"sync/atomic"
	"unsafe"
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
// It is one pointer, so that its owner can have it in place, and what an observation reads
// besides is in one allocation: of many series, each is in no cache.
//
// Invariants, of all that a reader may find after a kill at any store:
//  1. A count never moves. If the schema is lowered, what was counted stays in its region.
//  2. A value is in the sum before it is in a count, and it is in one count.
//  3. The sum is NaN before an observation of NaN is counted.
type Recorder struct {
	table atomic.Pointer[table] // where values are counted now; nil before Init
}

// keeper is what a recorder has besides its table.
type keeper struct {
	// Immutable.
	cells      *[Cells]uint64
	definition Definition
	add        func(Region) *[RegionBuckets]uint64

	mu      sync.Mutex
	regions []Region // all of them; the tables have those of their schema
	current int      // how many the table has
	held    []Held   // exemplars, in the order of their places
}

// Init makes a zero Recorder count in cells. add returns the words of a new region, which are
// zero and which readers know from then on, or nil if there is no room for it. Calls of add do
// not overlap.
func (r *Recorder) Init(d Definition, cells *[Cells]uint64, add func(Region) *[RegionBuckets]uint64) {
	r.useSchema(&keeper{cells: cells, definition: d, add: add}, d.Schema)
}

// Ready reports whether Init was called.
func (r *Recorder) Ready() bool { return r.table.Load() != nil }

const signBit = 1 << 63

// Observe counts x. It returns false if there was no room for a region; then nothing has been
// counted. Only a value that needs a new region takes a lock or allocates. cells are those of
// Init.
func (r *Recorder) Observe(cells *[Cells]uint64, x float64) bool {
	// Loads that nobody needs have the processor fetch a line while it waits for another one. It
	// cannot do that by itself beyond a locked instruction.
	atomic.LoadUint64(&cells[CellSum])
	t := r.table.Load()
	bits := math.Float64bits(x)
	if magnitude := bits &^ signBit; magnitude <= t.threshold || magnitude > exponentMax<<mantissaBits {
		observeCell(cells, x)
		return true
	}
	i := t.buckets.Index(x)
	counts := t.find(RegionOf(i), bits)
	if counts == nil {
		return r.observeNew(x)
	}
	count := &counts[i&(RegionBuckets-1)]
	atomic.LoadUint64(count)
	addFloat(&cells[CellSum], x)
	atomic.AddUint64(count, 1)
	return true
}

// observeCell counts a value that is in no region: NaN, or one within the threshold.
func observeCell(cells *[Cells]uint64, x float64) {
	cell := &cells[CellZero]
	if x != x {
		cell = &cells[CellNaN]
	}
	addFloat(&cells[CellSum], x)
	atomic.AddUint64(cell, 1)
}

// observeNew counts a value that had no region.
func (r *Recorder) observeNew(x float64) bool {
	k := r.table.Load().keeper
	schema := k.definition.Schema
	counts := r.place(k, schema, math.Signbit(x), Of(schema).Index(x))
	if counts == nil {
		return false
	}
	addFloat(&k.cells[CellSum], x)
	atomic.AddUint64(counts, 1)
	return true
}

// Exemplar calls store with the place that an exemplar takes among those of the native buckets,
// of which there are up to most, from 0 on. Calls of store do not overlap. See Displaced for ttl.
func (r *Recorder) Exemplar(added Held, most int, ttl int64, store func(place int)) {
	if most == 0 || added.Value != added.Value {
		return // NaN is in no bucket
	}
	k := r.table.Load().keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	place := len(k.held)
	if place < most {
		k.held = append(k.held, added)
	} else {
		place = Displaced(k.held, added, ttl)
		k.held[place] = added
	}
	store(place)
}

// Take adds what another recorder of the same declaration has counted in a region. It returns
// false if there was no room for some of it.
func (r *Recorder) Take(from Region) bool {
	ok, k := true, r.table.Load().keeper
	for j, n := range from.Counts {
		if n == 0 {
			continue
		}
		if counts := r.place(k, from.Schema, from.Negative, RegionBuckets*from.Number+int32(j)); counts != nil {
			atomic.AddUint64(counts, n)
		} else {
			ok = false
		}
	}
	return ok
}

// place returns the word that has bucket i of that schema, or nil if there is no room. It
// lowers the schema if it has to, or if there would be too many regions.
func (r *Recorder) place(k *keeper, schema int, negative bool, i int32) *uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if schema < r.table.Load().buckets.Schema() {
		r.useSchema(k, schema)
	}
	for {
		t := r.table.Load()
		now := t.buckets.Schema()
		at := Reduce(i, schema-now)
		counts := t.find(RegionOf(at), signOf(negative)) // another goroutine may have been faster
		if counts == nil && now > MinSchema && k.current >= Regions(k.definition.Limit) {
			r.useSchema(k, k.lowered(now, negative, at))
			continue
		}
		if counts == nil {
			made := Region{Schema: now, Negative: negative, Number: RegionOf(at)}
			if made.Counts = k.add(made); made.Counts == nil {
				return nil
			}
			k.regions = append(k.regions, made)
			r.useSchema(k, now)
			counts = made.Counts
		}
		return &counts[at&(RegionBuckets-1)]
	}
}

// useSchema makes values count at that schema. mu is held, or nobody else has r.
func (r *Recorder) useSchema(k *keeper, schema int) { r.table.Store(k.newTable(schema)) }

// lowered returns the finest schema below that one at which all that was counted, and bucket at
// of that schema, is in few enough regions.
func (k *keeper) lowered(from int, negative bool, at int32) int {
	type place struct {
		negative bool
		number   int32
	}
	schema := from - 1
	for ; schema > MinSchema; schema-- {
		places := map[place]struct{}{{negative, RegionOf(Reduce(at, from-schema))}: {}}
		for _, region := range k.regions {
			for j := range region.Counts {
				if atomic.LoadUint64(&region.Counts[j]) == 0 {
					continue
				}
				// After a restart, somebody late may have counted at a coarser schema.
				i := Reduce(RegionBuckets*region.Number+int32(j), max(0, region.Schema-schema))
				places[place{region.Negative, RegionOf(i)}] = struct{}{}
			}
		}
		if len(places) <= Regions(k.definition.Limit) {
			break
		}
	}
	return schema
}

// Restart makes the schema the declared one again, without exemplars, after the words were set
// back.
func (r *Recorder) Restart() {
	k := r.table.Load().keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = k.held[:0]
	r.useSchema(k, k.definition.Schema)
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

// table leads to the regions of a schema. It never changes. After it, in the same allocation,
// are two hash tables with open addressing: of the regions of positive values and of negative
// ones. It is the first two slots of that allocation, so its pointers are where slots have them.
type table struct {
	threshold uint64 // the bits of the largest value of the zero bucket
	buckets   *Buckets
	places    uint64 // for each sign 32 bits: a mask, and number of the first slot << 16
	keeper    *keeper
}

// slot is a region in a table.
type slot struct {
	number int32
	counts *[RegionBuckets]uint64 // nil if the slot is empty
}

const (
	slotSize   = unsafe.Sizeof(slot{})
	tableSlots = int(unsafe.Sizeof(table{}) / slotSize)

	_ = -(unsafe.Sizeof(table{}) % slotSize)
	_ = -(unsafe.Offsetof(table{}.buckets) - unsafe.Offsetof(slot{}.counts))
	_ = -(unsafe.Offsetof(table{}.keeper) - slotSize - unsafe.Offsetof(slot{}.counts))
)

// newTable returns a table of the regions that have that schema. mu is held, or nobody else has
// k.
func (k *keeper) newTable(schema int) *table {
	var n [2]int
	for _, r := range k.regions {
		if r.Schema == schema {
			n[sideOf(r.Negative)]++
		}
	}
	k.current = n[0] + n[1]
	var sizes [2]int // powers of 2, at least half of them stay empty
	for i := range sizes {
		for sizes[i] = 1; sizes[i] < 2*n[i]; {
			sizes[i] *= 2
		}
	}
	all := make([]slot, tableSlots+sizes[0]+sizes[1])
	t := (*table)(unsafe.Pointer(unsafe.SliceData(all)))
	t.threshold, t.buckets, t.keeper = math.Float64bits(k.definition.Threshold), Of(schema), k
	t.places = placesOf(sizes[0], tableSlots) | placesOf(sizes[1], tableSlots+sizes[0])<<32
	for _, r := range k.regions {
		if r.Schema == schema {
			*t.slot(r.Number, signOf(r.Negative)) = slot{r.Number, r.Counts}
		}
	}
	return t
}

// placesOf returns what places has of a hash table.
func placesOf(size, first int) uint64 { return uint64(size-1) | uint64(first)<<16 }

func sideOf(negative bool) int {
	if negative {
		return 1
	}
	return 0
}

// signOf returns the bits of a number that has only a sign.
func signOf(negative bool) uint64 { return uint64(sideOf(negative)) << 63 }

// find returns the counts of a region, or nil. sign is the bits of a number with its sign.
func (t *table) find(number int32, sign uint64) *[RegionBuckets]uint64 {
	return t.slot(number, sign).counts
}

// slot returns the slot of a region, or an empty one.
func (t *table) slot(number int32, sign uint64) *slot {
	places := t.places >> (sign >> 63 << 5)
	mask, first := uintptr(places&math.MaxUint16), uintptr(places>>16&math.MaxUint16)
	for at := uintptr(uint32(number)) & mask; ; at = (at + 1) & mask {
		s := (*slot)(unsafe.Add(unsafe.Pointer(t), (first+at)*slotSize))
		if s.number == number || s.counts == nil {
			return s
		}
	}
}

// AddTo adds what was observed to t, with the definition.
func (r *Recorder) AddTo(t *Total) {
	k := r.table.Load().keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	t.Define(k.definition)
	t.Zero += atomic.LoadUint64(&k.cells[CellZero])
	t.NaN += atomic.LoadUint64(&k.cells[CellNaN])
	var counts [RegionBuckets]uint64
	for _, region := range k.regions {
		for j := range counts {
			counts[j] = atomic.LoadUint64(&region.Counts[j])
		}
		t.AddRegion(region.Schema, region.Negative, region.Number, &counts)
	}
}
