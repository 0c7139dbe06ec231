package histogram

import (
	"math"
	"unsafe"
)

// table leads to the regions of a schema: a hash table with open addressing, whose entries come
// after it in the same allocation. It never changes.
type table struct {
	above   uint64 // the bits of the smallest value that is above the threshold
	buckets *Buckets
	keeper  *keeper // nil in unready
	mask    uint32  // the number of entries, minus 1
	n       uint32  // how many regions it has
}

// unready is the table of a Recorder that has no words yet. To it, no value is one that can be
// counted without a lock.
var unready = table{above: infinity}

// entry is a region in a table: its number, its sign, and the address of its words, in one word.
// Of many series, each is in no cache, and smaller tables have fewer lines.
//
// The garbage collector does not see the address. The RegionStore keeps the words.
type entry uint64

const (
	entryKey   = 1<<18 - 1
	entryShift = 12      // of the address, of which the first 12 bits and the last 6 are 0
	keyBias    = 1 << 16 // of a region's number, which is between -34368 and 32768
)

// keyOf returns the key of a region, which is not 0. sign is the bits of a number with its sign.
func keyOf(number int32, sign uint64) entry {
	return entry(number+keyBias)<<1 | entry(sign>>63)
}

// tableOf is a table with its entries.
type tableOf[E any] struct {
	table
	entries E
}

func makeTable[E any]() *table { return &new(tableOf[E]).table }

// makeTables make tables of minEntries, of twice as many, and so on.
var makeTables = [...]func() *table{
	makeTable[[4]entry], makeTable[[8]entry], makeTable[[16]entry], makeTable[[32]entry],
	makeTable[[64]entry], makeTable[[128]entry], makeTable[[256]entry], makeTable[[512]entry],
}

const minEntries = 4

// newTable returns an empty table with room for n regions. A quarter of the entries stay empty:
// usually the numbers are neighbours, and then each has the entry that a search begins with.
func newTable(k *keeper, schema int, n uint32) *table {
	size := 0
	for 3*minEntries<<size < 4*n {
		size++
	}
	t := makeTables[size]()
	t.above, t.buckets, t.keeper, t.mask = math.Float64bits(k.native.ZeroThreshold)+1, Of(schema), k, minEntries<<size-1
	return t
}

// with returns a table that has one more region.
func (t *table) with(number int32, negative bool, counts *[RegionBuckets]uint64) *table {
	to := newTable(t.keeper, t.buckets.schema, t.n+1)
	to.n = t.n + 1
	for i := range t.mask + 1 {
		if e := *t.entry(i); e != 0 {
			to.put(e)
		}
	}
	to.put(entry(uintptr(unsafe.Pointer(counts)))<<entryShift | keyOf(number, signOf(negative)))
	return to
}

func (t *table) put(e entry) {
	at := t.first(e & entryKey)
	for *t.entry(at) != 0 {
		at = (at + 1) & t.mask
	}
	*t.entry(at) = e
}

// first returns where the search for a key begins: positive numbers and negative ones half a
// table apart.
func (t *table) first(key entry) uint32 {
	return (uint32(key>>1) ^ -uint32(key&1)&(t.mask>>1+1)) & t.mask
}

// find returns the words of a region, or nil.
func (t *table) find(key entry) *[RegionBuckets]uint64 {
	for at := t.first(key); ; at = (at + 1) & t.mask {
		rest := *t.entry(at) ^ key
		if rest&entryKey == 0 {
			return rest.counts()
		}
		if rest == key {
			return nil // the entry is empty
		}
	}
}

// counts returns the words at the address of an entry without its key. The race detector's check
// of pointers expects them in the object that the address was made from.
//
//go:nocheckptr
func (e entry) counts() *[RegionBuckets]uint64 {
	return (*[RegionBuckets]uint64)(unsafe.Add(nil, uintptr(e>>entryShift)))
}

func (t *table) entry(at uint32) *entry {
	return (*entry)(unsafe.Add(unsafe.Pointer(t), unsafe.Offsetof(tableOf[entry]{}.entries)+8*uintptr(at)))
}

// signOf returns the bits of a number that has only a sign.
func signOf(negative bool) uint64 { return uint64(sideOf(negative)) << 63 }

func sideOf(negative bool) int {
	if negative {
		return 1
	}
	return 0
}
