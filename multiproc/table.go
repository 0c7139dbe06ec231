package multiproc

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// table finds series by their label values. It uses open addressing, and readers need no
// lock while one writer changes it. A full table is replaced by a larger one. Readers of
// the old one miss what was added later, and look again under the writer's lock.
//
// Invariants:
//  1. An entry is written before its hash, and the hash never changes: a reader that sees a
//     hash sees its series.
//  2. The hash of a removed series stays, with a nil pointer: a probe continues after it,
//     and nothing keeps the series reachable.
//  3. At most two thirds of the entries have a hash, so every probe ends.
type table struct {
	hashes  []uint32 // of the entries, 0 if empty; in an array of their own, so that a probe touches few cache lines
	entries []entry  // as many
	watches []*watch // of a Vec with a TTL, as many; nil until a janitor has looked, see vec.expire
	shift   int      // the top bits of a hash say where its probe begins
	used    int      // entries with a hash, removed series included; for the writer only
}

// entry has the addresses of a series and of its first word, so that a processor can fetch
// both at once.
type entry struct {
	series unsafe.Pointer // *series; not an atomic.Pointer, because insert writes it without a locked instruction
	word   unsafe.Pointer // *uint64; nil if the series had no words yet when it was inserted
}

func (at *entry) load() *series { return (*series)(atomic.LoadPointer(&at.series)) }

// clear removes the series.
func (at *entry) clear() { atomic.StorePointer(&at.series, nil) }

const minTableBits = 4

func newTable(bits int) *table {
	return &table{hashes: make([]uint32, 1<<bits), entries: make([]entry, 1<<bits), shift: 32 - bits}
}

// find returns the series of these values, or nil.
func (t *table) find(hash uint32, values []string) *series {
	// The first series with the hash is nearly always the right one. A loop around
	// matches would keep all its variables on the stack.
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
			at := &t.entries[n]
			if w := at.word; w != nil {
				atomic.LoadUint64((*uint64)(w)) // makes the processor fetch it
			}
			if s := at.load(); s != nil {
				return s
			}
		}
	}
}

// probe returns the series of these values and the index of its entry, or nil.
func (t *table) probe(hash uint32, values []string) (int, *series) {
	for i := hash >> t.shift; ; i++ {
		n := int(i) & (len(t.hashes) - 1)
		switch atomic.LoadUint32(&t.hashes[n]) {
		case 0:
			return 0, nil
		case hash:
			if s := t.entries[n].load(); s != nil && s.key.matches(values) {
				return n, s
			}
		}
	}
}

// index returns the index of the entry of a series, or -1 if the table does not have it.
func (t *table) index(hash uint32, of *series) int {
	for i := hash >> t.shift; ; i++ {
		n := int(i) & (len(t.hashes) - 1)
		switch atomic.LoadUint32(&t.hashes[n]) {
		case 0:
			return -1
		case hash:
			if t.entries[n].load() == of {
				return n
			}
		}
	}
}

// remove removes the series of an entry.
func (t *table) remove(i int) {
	t.entries[i].clear()
	if t.watches != nil {
		t.watches[i] = nil
	}
}

// insert adds a series that the table does not have, and returns the table to use from now
// on.
func (t *table) insert(hash uint32, s *series) *table {
	if 3*(t.used+1) > 2*len(t.entries) {
		t = t.grown()
	}
	t.put(hash, s)
	return t
}

func (t *table) put(hash uint32, s *series) {
	i := t.free(hash)
	t.entries[i] = entry{unsafe.Pointer(s), atomic.LoadPointer(&s.first)} // no reader looks at it yet
	atomic.StoreUint32(&t.hashes[i], hash)
	t.used++
}

// free returns the index of the entry where a probe for the hash ends.
func (t *table) free(hash uint32) int {
	n := int(hash >> t.shift)
	for t.hashes[n&(len(t.hashes)-1)] != 0 {
		n++
	}
	return n & (len(t.hashes) - 1)
}

// grown returns a larger table without the removed series. It is at most half full, so the
// next growth is at least a sixth of the entries away.
func (t *table) grown() *table {
	n := 0
	t.each(func(int, *series) { n++ })
	out := newTable(max(minTableBits, bits.Len(uint(2*n))))
	if t.watches != nil {
		out.watches = make([]*watch, len(out.entries))
	}
	t.each(func(from int, s *series) {
		hash, word := t.hashes[from], t.entries[from].word
		if word == nil {
			word = atomic.LoadPointer(&s.first)
		}
		to := out.free(hash)
		out.hashes[to], out.entries[to] = hash, entry{unsafe.Pointer(s), word}
		if t.watches != nil {
			out.watches[to] = t.watches[from]
		}
	})
	out.used = n
	return out
}

// each calls f with every series and the index of its entry. f may clear the entry.
func (t *table) each(f func(int, *series)) {
	for i := range t.entries {
		if s := t.entries[i].load(); s != nil {
			f(i, s)
		}
	}
}
