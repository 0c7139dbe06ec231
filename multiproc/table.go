package multiproc

import (
	"math/bits"
	"sync/atomic"
)

// table finds instruments by their label values: open addressing, read without
// a lock while one writer at a time changes it. A full table is replaced by a
// larger one; readers of the old one miss what was added since, and look again
// under the writer's lock.
//
// Invariants:
//  1. A slot's entry is stored before its hash, and its hash never changes: who
//     sees a hash sees its entry.
//  2. A removed entry leaves its hash behind with a nil entry, so that a probe
//     goes on behind it and nothing keeps the instrument reachable.
//  3. At most half of the slots have a hash, so that every probe ends.
type table[T any] struct {
	slots []slot[T]
	shift int // the top bits of a hash say where its probe begins
	used  int // slots with a hash, those of removed entries too; the writer's
}

// slot holds the hash beside the pointer: a probe touches only the entry that
// it wants.
type slot[T any] struct {
	hash  atomic.Uint64 // 0 for an empty slot
	entry atomic.Pointer[entry[T]]
}

// entry is one instrument together with its key: one allocation, and next to
// each other in memory.
type entry[T any] struct {
	child T
	key   key
}

const minTableBits = 4

func newTable[T any](bits int) *table[T] {
	return &table[T]{slots: make([]slot[T], 1<<bits), shift: 64 - bits}
}

// find returns the entry of these values, or nil.
func (t *table[T]) find(hash uint64, values []string) *entry[T] {
	_, e := t.probe(hash, values)
	return e
}

// probe returns the entry of these values with its slot, or nil.
func (t *table[T]) probe(hash uint64, values []string) (*slot[T], *entry[T]) {
	mask := uint64(len(t.slots) - 1)
	for i := hash >> t.shift; ; i++ {
		s := &t.slots[i&mask]
		switch s.hash.Load() {
		case 0:
			return nil, nil
		case hash:
			if e := s.entry.Load(); e != nil && e.key.matches(values) {
				return s, e
			}
		}
	}
}

// insert adds an entry that is not there, and returns the table to use from
// now on.
func (t *table[T]) insert(hash uint64, e *entry[T]) *table[T] {
	if 2*(t.used+1) > len(t.slots) {
		t = t.grown()
	}
	t.put(hash, e)
	return t
}

func (t *table[T]) put(hash uint64, e *entry[T]) {
	mask := uint64(len(t.slots) - 1)
	i := hash >> t.shift
	for t.slots[i&mask].hash.Load() != 0 {
		i++
	}
	s := &t.slots[i&mask]
	s.entry.Store(e)
	s.hash.Store(hash)
	t.used++
}

// grown returns a table with room, without what was removed. Three slots an
// entry: the next growth is at least a sixth of the slots away.
func (t *table[T]) grown() *table[T] {
	n := 0
	t.each(func(*slot[T], *entry[T]) { n++ })
	out := newTable[T](max(minTableBits, bits.Len(uint(3*(n+1)))))
	t.each(func(s *slot[T], e *entry[T]) { out.put(s.hash.Load(), e) })
	return out
}

// each calls f for every entry; f may remove it by storing nil in the slot.
func (t *table[T]) each(f func(*slot[T], *entry[T])) {
	for i := range t.slots {
		if e := t.slots[i].entry.Load(); e != nil {
			f(&t.slots[i], e)
		}
	}
}
