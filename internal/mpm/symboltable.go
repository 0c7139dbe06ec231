package mpm

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"unsafe"
)

// Symbol stands for a text of a Symbols: two of them are equal where the symbols are.
// The zero Symbol stands for none.
type Symbol uint32

// SymbolTable keeps each text once, see SeriesInfo.Text: readers that are given the same
// one, by ReadOptions, know the labels of a series that all of them have by one
// number. There is nothing in it that the garbage collector has to follow. It
// belongs to one goroutine at a time, as its readers do.
//
// A text is never moved or overwritten, so strings stay as they are; to keep a short one for
// long is to keep up to 256 KiB around it. A Symbol holds until Renew.
type SymbolTable struct {
	chunks []symbolChunk
	table  []Symbol // open addressing; 0 is free
	n      int
	last   Symbol // that was found last

	lists sharedLists // of the readers
}

// symbolChunk holds symbols one behind the other, each behind its length. An ID is the
// chunk's number and the place in it, in units of symbolUnit.
type symbolChunk []byte

const (
	symbolUnit      = 4
	symbolShift     = 16 // units of a chunk, as far as IDs reach
	maxSymbolChunks = 1 << (32 - symbolShift)
	minSymbolChunk  = 4 << 10
	maxSymbolChunk  = symbolUnit << symbolShift
)

var symbolSeed = maphash.MakeSeed()

// Len returns how many symbols there are.
func (t *SymbolTable) Len() int { return t.n }

// Text returns a text.
func (t *SymbolTable) Lookup(id Symbol) string {
	if id == 0 {
		return ""
	}
	c := t.chunks[id>>symbolShift]
	off := int(id&(1<<symbolShift-1)) * symbolUnit
	n := int(le.Uint32(c[off:]))
	b := c[off+4:][:n]
	return unsafe.String(unsafe.SliceData(b), n)
}

// Find returns the ID of a text, 0 where it is not there.
func (t *SymbolTable) Find(text string) Symbol {
	if id := t.guess(text); id != 0 {
		return id
	}
	if len(t.table) == 0 {
		return 0
	}
	for i := t.first(text); ; i = t.next(i) {
		switch id := t.table[i]; {
		case id == 0:
			return 0
		case t.Lookup(id) == text:
			t.last = id
			return id
		}
	}
}

// first returns where to look first for a text, next where behind i.
func (t *SymbolTable) first(text string) int {
	hi, _ := bits.Mul64(maphash.String(symbolSeed, text), uint64(len(t.table)))
	return int(hi)
}

func (t *SymbolTable) next(i int) int {
	if i++; i == len(t.table) {
		return 0
	}
	return i
}

// Intern returns the ID of a text and keeps it if it is new. ok is false where there
// is no room for more than the 16 GiB that there are.
func (t *SymbolTable) Intern(text string) (id Symbol, ok bool) {
	if id := t.Find(text); id != 0 {
		return id, true
	}
	if 4*(t.n+1) > 3*len(t.table) {
		t.grow()
	}
	if id, ok = t.append(text); ok {
		t.put(id, text)
		t.n++
		t.last = id
	}
	return id, ok
}

// guess returns the text that was found last, or the one behind it, if it is that
// one: processes make the same series in the same order.
func (t *SymbolTable) guess(text string) Symbol {
	if t.last == 0 {
		return 0
	}
	last := t.Lookup(t.last)
	if last == text {
		return t.last
	}
	next := t.last + symbolUnits(len(last))
	if c := t.chunks[t.last>>symbolShift]; int(next&(1<<symbolShift-1))*symbolUnit >= len(c) || next>>symbolShift != t.last>>symbolShift {
		next = (t.last>>symbolShift + 1) << symbolShift // the first of the next chunk
		if int(next>>symbolShift) >= len(t.chunks) {
			return 0
		}
	}
	if next == 0 || t.Lookup(next) != text {
		return 0
	}
	t.last = next
	return next
}

// symbolUnits returns how many units a text of n bytes takes.
func symbolUnits(n int) Symbol { return Symbol(1 + (n+symbolUnit-1)/symbolUnit) }

func (t *SymbolTable) append(text string) (id Symbol, ok bool) {
	if len(t.chunks) == 0 {
		t.chunks = append(t.chunks, append(make(symbolChunk, 0, minSymbolChunk), make([]byte, symbolUnit)...)) // no text has ID 0
	}
	last := len(t.chunks) - 1
	size := int(symbolUnits(len(text))) * symbolUnit
	if c := t.chunks[last]; cap(c)-len(c) < size {
		if last++; last == maxSymbolChunks {
			return 0, false
		}
		// A text may be longer than a chunk: then it is alone in one.
		t.chunks = append(t.chunks, make(symbolChunk, 0, max(size, min(2*cap(c), maxSymbolChunk))))
	}
	c := t.chunks[last]
	id = Symbol(last<<symbolShift | len(c)/symbolUnit)
	c = append(le.AppendUint32(c, uint32(len(text))), text...)
	t.chunks[last] = c[:(len(c)+symbolUnit-1)&^(symbolUnit-1)]
	return id, true
}

func (t *SymbolTable) put(id Symbol, text string) {
	i := t.first(text)
	for t.table[i] != 0 {
		i = t.next(i)
	}
	t.table[i] = id
}

// grow makes room in the table. It goes through the symbols from front to back, which
// caches serve well.
func (t *SymbolTable) grow() {
	t.table = make([]Symbol, max(16, len(t.table)+len(t.table)/2))
	for chunk, c := range t.chunks {
		unit := Symbol(0)
		if chunk == 0 {
			unit = 1
		}
		for int(unit)*symbolUnit < len(c) {
			id := Symbol(chunk)<<symbolShift | unit
			text := t.Lookup(id)
			t.put(id, text)
			unit += symbolUnits(len(text))
		}
	}
}

// Renew drops all symbols but those that used yields, and writes their new IDs in the
// place of the old ones. It must yield each place once: those of all lists of all readers
// too, see Symbols.
func (t *SymbolTable) Renew(used iter.Seq[*Symbol]) {
	old := *t
	*t = SymbolTable{}
	for id := range used {
		if *id != 0 {
			*id, _ = t.Intern(old.Lookup(*id)) // fewer than there were: there is room
		}
	}
}
