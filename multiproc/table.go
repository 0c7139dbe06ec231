package multiproc

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// table finds series by their label values: open addressing, read without
// a lock while one writer at a time changes it. A full table is replaced by a
// larger one; readers of the old one miss what was added since, and look again
// under the writer's lock.
//
// Invariants:
//  1. A slot is written before its hash, and its hash never changes: who
//     sees a hash sees its series.
//  2. A removed series leaves its hash behind with a nil pointer, so that a probe
//     goes on behind it and nothing keeps it reachable.
//  3. At most two thirds of the slots have a hash, so that every probe ends.
type table struct {
	hashes []uint32 // of the slots, 0 for an empty one; on their own, so that a probe touches few cache lines
	slots  []slot   // as many
	shift  int      // the top bits of a hash say where its probe begins
	used   int      // slots with a hash, those of removed series too; the writer's
}

// slot is where a series is, and where its first word, so that a processor fetches
// both at once.
type slot struct {
	series unsafe.Pointer // *series; no atomic.Pointer, since what nobody else looks at yet is written without locked instructions
	word   unsafe.Pointer // *uint64; nil where the series was not bound when it was put here
}

func (at *slot) load() *series { return (*series)(atomic.LoadPointer(&at.series)) }

// clear removes the series.
func (at *slot) clear() { atomic.StorePointer(&at.series, nil) }

const minTableBits = 4

func newTable(bits int) *table {
	return &table{hashes: make([]uint32, 1<<bits), slots: make([]slot, 1<<bits), shift: 32 - bits}
}

// find returns the series of these values, or nil.
func (t *table) find(hash uint32, values []string) *series {
	// Nearly always the first series with the hash is the one. A loop around matches
	// would have all of its variables on the stack.
	s := t.first(hash)
	if s == nil || s.key.matches(values) {
		return s
	}
	_, s = t.probe(hash, values)
	return s
}

// first returns the first series with the hash, or nil.
func (t *table) first(hash uint32) *series {
	for i := hash >> (t.shift & 31); ; i++ {
		n := int(i) & (len(t.hashes) - 1)
		switch atomic.LoadUint32(&t.hashes[n]) {
		case 0:
			return nil
		case hash:
			at := &t.slots[n]
			if w := at.word; w != nil {
				atomic.LoadUint64((*uint64)(w)) // has the processor fetch it
			}
			if s := at.load(); s != nil {
				return s
			}
		}
	}
}

// probe returns the series of these values with its slot, or nil.
func (t *table) probe(hash uint32, values []string) (*slot, *series) {
	for i := hash >> t.shift; ; i++ {
		n := int(i) & (len(t.hashes) - 1)
		switch atomic.LoadUint32(&t.hashes[n]) {
		case 0:
			return nil, nil
		case hash:
			if s := t.slots[n].load(); s != nil && s.key.matches(values) {
				return &t.slots[n], s
			}
		}
	}
}

// insert adds a series that is not there, and returns the table to use from
// now on.
func (t *table) insert(hash uint32, s *series) *table {
	if 3*(t.used+1) > 2*len(t.slots) {
		t = t.grown()
	}
	t.put(hash, s)
	return t
}

func (t *table) put(hash uint32, s *series) {
	i := t.free(hash)
	t.slots[i] = slot{unsafe.Pointer(s), atomic.LoadPointer(&s.first)} // nobody looks at it yet
	atomic.StoreUint32(&t.hashes[i], hash)
	t.used++
}

// free returns the number of the slot where a probe for the hash ends.
func (t *table) free(hash uint32) int {
	n := int(hash >> t.shift)
	for t.hashes[n&(len(t.hashes)-1)] != 0 {
		n++
	}
	return n & (len(t.hashes) - 1)
}

// grown returns a table with room, without what was removed: at most half full, so that
// the next growth is at least a sixth of the slots away.
func (t *table) grown() *table {
	n := 0
	t.each(func(int, *series) { n++ })
	out := newTable(max(minTableBits, bits.Len(uint(2*n))))
	t.each(func(from int, s *series) {
		hash, word := t.hashes[from], t.slots[from].word
		if word == nil {
			word = atomic.LoadPointer(&s.first)
		}
		to := out.free(hash)
		out.hashes[to], out.slots[to] = hash, slot{unsafe.Pointer(s), word}
	})
	out.used = n
	return out
}

// each calls f for every series with the number of its slot, which f may clear.
func (t *table) each(f func(int, *series)) {
	for i := range t.slots {
		if s := t.slots[i].load(); s != nil {
			f(i, s)
		}
	}
}
