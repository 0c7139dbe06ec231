package multiproc

import (
	"hash/maphash"
	"sync/atomic"
)

// table finds children by their label values: open addressing, read without a
// lock while one writer at a time adds to it. A full table is replaced by a
// larger one; readers of the old one miss what was added since, and look again
// under the writer's lock.
type table[T any] struct {
	slots []atomic.Pointer[entry[T]]
	mask  uint64
	used  int // slots that are not empty, removed ones included; the writer's
}

// entry is one child. A removed one stays in its slot with child nil, so that
// a probe goes on behind it.
type entry[T any] struct {
	hash   uint64
	values []string
	child  atomic.Pointer[T]
}

var hashSeed = maphash.MakeSeed()

func hashValues(values []string) uint64 {
	var h uint64
	for _, v := range values {
		// Multiplied between values: {"ab", "c"} is not {"a", "bc"}.
		h = (h ^ maphash.String(hashSeed, v)) * 0x9E3779B97F4A7C15
	}
	return h ^ h>>32
}

const minTable = 16

func newTable[T any](size int) *table[T] {
	return &table[T]{slots: make([]atomic.Pointer[entry[T]], size), mask: uint64(size - 1)}
}

// find returns the entry of these values, or nil.
func (t *table[T]) find(hash uint64, values []string) *entry[T] {
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		e := t.slots[i].Load()
		if e == nil {
			return nil
		}
		if e.hash == hash && equal(e.values, values) && e.child.Load() != nil {
			return e
		}
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// insert adds an entry that is not there, and returns the table to use from
// now on. Half of the slots stay empty, so that find ends.
func (t *table[T]) insert(e *entry[T]) *table[T] {
	if 2*(t.used+1) > len(t.slots) {
		t = t.grown()
	}
	t.put(e)
	return t
}

func (t *table[T]) put(e *entry[T]) {
	i := e.hash & t.mask
	for t.slots[i].Load() != nil {
		i = (i + 1) & t.mask
	}
	t.slots[i].Store(e)
	t.used++
}

// grown returns a table with room, without the removed entries.
func (t *table[T]) grown() *table[T] {
	n := 0
	t.each(func(*entry[T]) { n++ })
	size := minTable
	for size < 4*(n+1) {
		size *= 2
	}
	out := newTable[T](size)
	t.each(out.put)
	return out
}

// each calls f for every entry that has its child.
func (t *table[T]) each(f func(*entry[T])) {
	for i := range t.slots {
		if e := t.slots[i].Load(); e != nil && e.child.Load() != nil {
			f(e)
		}
	}
}
