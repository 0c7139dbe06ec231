package multiproc

import (
	"math/bits"
	"sync/atomic"
)

// table finds series by their label values: open addressing, read without
// a lock while one writer at a time changes it. A full table is replaced by a
// larger one; readers of the old one miss what was added since, and look again
// under the writer's lock.
//
// Invariants:
//  1. A slot's series is stored before its hash, and its hash never changes: who
//     sees a hash sees its series.
//  2. A removed series leaves its hash behind with a nil pointer, so that a probe
//     goes on behind it and nothing keeps it reachable.
//  3. At most half of the slots have a hash, so that every probe ends.
type table struct {
	slots []slot
	shift int // the top bits of a hash say where its probe begins
	used  int // slots with a hash, those of removed series too; the writer's
}

// slot holds the hash beside the pointer: a probe touches only the series that
// it wants.
type slot struct {
	hash   atomic.Uint64 // 0 for an empty slot
	series atomic.Pointer[series]
}

const minTableBits = 4

func newTable(bits int) *table {
	return &table{slots: make([]slot, 1<<bits), shift: 64 - bits}
}

// find returns the series of these values, or nil.
func (t *table) find(hash uint64, values []string) *series {
	_, s := t.probe(hash, values)
	return s
}

// probe returns the series of these values with its slot, or nil.
func (t *table) probe(hash uint64, values []string) (*slot, *series) {
	mask := uint64(len(t.slots) - 1)
	for i := hash >> t.shift; ; i++ {
		at := &t.slots[i&mask]
		switch at.hash.Load() {
		case 0:
			return nil, nil
		case hash:
			if s := at.series.Load(); s != nil && s.key.matches(values) {
				return at, s
			}
		}
	}
}

// insert adds a series that is not there, and returns the table to use from
// now on.
func (t *table) insert(hash uint64, s *series) *table {
	if 2*(t.used+1) > len(t.slots) {
		t = t.grown()
	}
	t.put(hash, s)
	return t
}

func (t *table) put(hash uint64, s *series) {
	mask := uint64(len(t.slots) - 1)
	i := hash >> t.shift
	for t.slots[i&mask].hash.Load() != 0 {
		i++
	}
	at := &t.slots[i&mask]
	at.series.Store(s)
	at.hash.Store(hash)
	t.used++
}

// grown returns a table with room, without what was removed. Three slots a
// series: the next growth is at least a sixth of the slots away.
func (t *table) grown() *table {
	n := 0
	t.each(func(*slot, *series) { n++ })
	out := newTable(max(minTableBits, bits.Len(uint(3*(n+1)))))
	t.each(func(at *slot, s *series) { out.put(at.hash.Load(), s) })
	return out
}

// each calls f for every series; f may remove it by storing nil in the slot.
func (t *table) each(f func(*slot, *series)) {
	for i := range t.slots {
		if s := t.slots[i].series.Load(); s != nil {
			f(&t.slots[i], s)
		}
	}
}
