package multiproc

import (
	"math/bits"
	"math/rand/v2"
	"strings"
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
	key   string
	child T
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
			if e := s.entry.Load(); e != nil && keyMatches(e.key, values) {
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

// A key is all values behind each other, each after its length in two bytes
// (metric.MaxLabelValueLen fits).

// keyLen returns the length of the key of these values.
func keyLen(values []string) int {
	n := 0
	for _, v := range values {
		n += 2 + len(v)
	}
	return n
}

// makeKey returns the key, which shares no memory with the values: a caller
// such as fasthttp may reuse the bytes behind its strings.
func makeKey(values []string) string {
	var b strings.Builder
	b.Grow(keyLen(values))
	for _, v := range values {
		b.WriteByte(byte(len(v)))
		b.WriteByte(byte(len(v) >> 8))
		b.WriteString(v)
	}
	return b.String()
}

// keyMatches reports whether key is that of these values.
func keyMatches(key string, values []string) bool {
	for _, v := range values {
		n := 2 + len(v)
		if len(key) < n || int(key[0])|int(key[1])<<8 != len(v) || key[2:n] != v {
			return false
		}
		key = key[n:]
	}
	return key == ""
}

// keyValues returns the n values of a key, whose memory they share.
func keyValues(key string, n int) []string {
	out := make([]string, n)
	for i := range out {
		end := 2 + (int(key[0]) | int(key[1])<<8)
		out[i], key = key[2:end], key[end:]
	}
	return out
}

// Secret numbers of this process: who chooses label values cannot choose their
// places in a table.
var hashSeed, hashKey = rand.Uint64(), rand.Uint64()

// hashValues is wyhash's way with short strings, written out because two calls
// into hash/maphash cost as much as all the rest of a lookup. It is never 0.
func hashValues(values []string) uint64 {
	h := hashSeed
	for _, v := range values {
		n := len(v)
		var a, b uint64
		switch {
		case n > 16:
			for s := v; len(s) > 16; s = s[16:] {
				h = mix(load64(s)^hashKey, load64(s[8:])^h)
			}
			a, b = load64(v[n-16:]), load64(v[n-8:])
		case n >= 8:
			a, b = load64(v), load64(v[n-8:])
		case n >= 4:
			a, b = load32(v), load32(v[n-4:])
		case n > 0:
			a = uint64(v[0])<<16 | uint64(v[n>>1])<<8 | uint64(v[n-1])
		}
		// The length tells a from aaa, and {ab, c} from {a, bc}.
		h = mix(a^hashKey, b^h) + uint64(n)
	}
	return mix(h, hashKey|1) | 1
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// load64 and load32 are single loads: the compiler joins the bytes.

func load64(s string) uint64 {
	return load32(s) | load32(s[4:8])<<32
}

func load32(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}
