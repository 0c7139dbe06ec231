package histogram

import (
	"iter"
	"math"
	"sync"
	"sync/atomic"

	"github.com/multiprom/multiprom/metric"
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

// RegionStore has the regions of a recorder.
type RegionStore interface {
	// AddRegion returns the words of a new region, which are zero and which readers know from
	// then on, or nil if there is no room for it. They have a cache line of their own, and stay
	// where they are as long as the RegionStore is reachable. The region's Counts do not matter.
	AddRegion(Region) *[RegionBuckets]uint64

	// Regions yields all regions, in the order in which they were added.
	Regions() iter.Seq[Region]
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
	table atomic.Pointer[table] // where values are counted now; nil before Declare
}

// keeper is what a recorder has besides its table.
type keeper struct {
	// Immutable.
	cells  *[Cells]uint64
	native *metric.NativeSchema
	store  RegionStore

	mu   sync.Mutex // of changes of the table, and of held
	held *[]Held    // exemplars, in the order of their places; nil before the first
}

// Declare makes a zero Recorder one that has no words yet: Observe counts nothing.
func (r *Recorder) Declare() { r.table.Store(&unready) }

// Declared reports whether Declare was called.
func (r *Recorder) Declared() bool { return r.table.Load() != nil }

// Init makes the Recorder count in cells and in regions of store, whose AddRegion it never calls
// twice at once. native must not change any more.
func (r *Recorder) Init(native *metric.NativeSchema, cells *[Cells]uint64, store RegionStore) {
	r.useSchema(&keeper{cells: cells, native: native, store: store}, native.Schema)
}

// Ready reports whether Init was called.
func (r *Recorder) Ready() bool {
	t := r.table.Load()
	return t != nil && t.keeper != nil
}

const signBit = 1 << 63

// Observe counts x if that takes no lock. It returns false if nothing was counted; then
// ObserveRare has to. cells are those of Init. It calls nothing: what is needed after a call is
// stored on the stack, and locked instructions wait for stores.
func (r *Recorder) Observe(cells *[Cells]uint64, x float64) bool {
	// Loads that nobody needs have the processor fetch a line while it waits for another one. It
	// cannot do that by itself beyond a locked instruction.
	atomic.LoadUint64(&cells[CellSum])
	t := r.table.Load()
	bits := math.Float64bits(x)
	magnitude := bits &^ signBit
	if magnitude-t.above >= infinity-t.above || magnitude < leastNormal {
		if magnitude >= t.above || t.keeper == nil {
			return false // an infinity, NaN, a subnormal number, or no words
		}
		addFloat(&cells[CellSum], x)
		atomic.AddUint64(&cells[CellZero], 1)
		r.keepAlive()
		return true
	}
	i := t.buckets.normal(int32(magnitude>>mantissaBits), bits&mantissaMask)
	key := keyOf(RegionOf(i), bits)
	at := t.first(key)
	found := *t.entry(at) ^ key
	for found&entryKey != 0 { // find, which would be a call
		if found == key {
			return false
		}
		at = (at + 1) & t.mask
		found = *t.entry(at) ^ key
	}
	count := &found.counts()[i&(RegionBuckets-1)]
	atomic.LoadUint64(count)
	addFloat(&cells[CellSum], x)
	atomic.AddUint64(count, 1)
	r.keepAlive()
	return true
}

// keepAlive keeps the words of the recorder's store what they are up to here. runtime.KeepAlive
// would store r on the stack.
func (r *Recorder) keepAlive() { r.table.Load() }

// ObserveRare counts any value. It returns false if there was no room for a region; then nothing
// has been counted. Only a value that needs a new region allocates.
func (r *Recorder) ObserveRare(x float64) bool {
	k := r.table.Load().keeper
	defer r.keepAlive()
	var count *uint64
	switch schema := k.native.Schema; {
	case x != x:
		count = &k.cells[CellNaN]
	case math.Abs(x) <= k.native.ZeroThreshold:
		count = &k.cells[CellZero]
	default:
		if count = r.place(k, schema, math.Signbit(x), Of(schema).Index(x)); count == nil {
			return false
		}
	}
	addFloat(&k.cells[CellSum], x)
	atomic.AddUint64(count, 1)
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
	if k.held == nil {
		k.held = new([]Held)
	}
	place := len(*k.held)
	if place < most {
		*k.held = append(*k.held, added)
	} else {
		place = Displaced(*k.held, added, ttl)
		(*k.held)[place] = added
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
		counts := t.find(keyOf(RegionOf(at), signOf(negative))) // another goroutine may have been faster
		if counts == nil && now > MinSchema && int(t.n) >= Regions(k.native.MaxBuckets) {
			r.useSchema(k, k.lowered(now, negative, at))
			continue
		}
		if counts == nil {
			made := Region{Schema: now, Negative: negative, Number: RegionOf(at)}
			if counts = k.store.AddRegion(made); counts == nil {
				return nil
			}
			r.table.Store(t.with(made.Number, negative, counts))
		}
		return &counts[at&(RegionBuckets-1)]
	}
}

// useSchema makes values count at that schema. mu is held, or nobody else has r.
func (r *Recorder) useSchema(k *keeper, schema int) {
	t := newTable(k, schema, 0)
	for region := range k.store.Regions() {
		if region.Schema == schema {
			t = t.with(region.Number, region.Negative, region.Counts)
		}
	}
	r.table.Store(t)
}

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
		for region := range k.store.Regions() {
			for j := range region.Counts {
				if atomic.LoadUint64(&region.Counts[j]) == 0 {
					continue
				}
				// After a restart, somebody late may have counted at a coarser schema.
				i := Reduce(RegionBuckets*region.Number+int32(j), max(0, region.Schema-schema))
				places[place{region.Negative, RegionOf(i)}] = struct{}{}
			}
		}
		if len(places) <= Regions(k.native.MaxBuckets) {
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
	k.held = nil
	r.useSchema(k, k.native.Schema)
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

// AddTo adds what was observed to t, with the definition.
func (r *Recorder) AddTo(t *Total) {
	k := r.table.Load().keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	t.Define(DefinitionOf(k.native))
	t.Zero += atomic.LoadUint64(&k.cells[CellZero])
	t.NaN += atomic.LoadUint64(&k.cells[CellNaN])
	var counts [RegionBuckets]uint64
	for region := range k.store.Regions() {
		for j := range counts {
			counts[j] = atomic.LoadUint64(&region.Counts[j])
		}
		t.AddRegion(region.Schema, region.Negative, region.Number, &counts)
	}
}
