package mpm

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"unsafe"
)

// Symbol is the number of a text in a SymbolTable. Two symbols are equal if their texts are.
// The zero Symbol stands for no text.
type Symbol uint32

// SymbolTable keeps each text once. Readers that share one, by ReadOptions, use the same
// number for the encoded labels of a series that all of them have
// (SeriesInfo.EncodedLabels). The table has no pointers that the garbage collector must
// follow per text. It belongs to one goroutine at a time, like its readers.
//
// Texts are never moved or overwritten, so strings stay valid. Keeping a short string keeps
// up to 256 KiB of other texts in memory. A Symbol is valid until Renew.
type SymbolTable struct {
	chunks []symbolChunk
	table  []Symbol // open addressing; 0 is free
	n      int
	last   Symbol // the one found last

	// Of the readers' lists.
	labels  sharedColumns[Symbol]
	records sharedColumns[recordRef]

	// Room for the changes of one Reading.
	liveChanges, removedChanges, regionChanges []Change

	// regions has the columns that the readers' lists of regions share. It has no symbols.
	regions *SymbolTable
}

// symbolChunk holds texts one after the other, each preceded by its length. A Symbol is the
// chunk's number and the offset in it, in units of symbolUnit.
type symbolChunk []byte

const (
	symbolUnit      = 4
	symbolShift     = 16 // bits of a Symbol for the offset
	maxSymbolChunks = 1 << (32 - symbolShift)
	minSymbolChunk  = 4 << 10
	maxSymbolChunk  = symbolUnit << symbolShift
)

var symbolSeed = maphash.MakeSeed()

// Len returns the number of symbols.
func (t *SymbolTable) Len() int { return t.n }

// Lookup returns the text of a symbol.
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

// Find returns the Symbol of a text, or 0 if the table does not have it.
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

// first returns the first index to look at for a text, and next the index after i.
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

// Intern returns the Symbol of a text, and adds the text if it is new. ok is false if the
// table is full, at 16 GiB.
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

// guess returns the Symbol found last or the next one, if it is the text's. Processes create
// the same series in the same order.
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

// symbolUnits returns the number of units of a text of n bytes.
func symbolUnits(n int) Symbol { return Symbol(1 + (n+symbolUnit-1)/symbolUnit) }

func (t *SymbolTable) append(text string) (id Symbol, ok bool) {
	if len(t.chunks) == 0 {
		t.chunks = append(t.chunks, append(make(symbolChunk, 0, minSymbolChunk), make([]byte, symbolUnit)...)) // no text has Symbol 0
	}
	last := len(t.chunks) - 1
	size := int(symbolUnits(len(text))) * symbolUnit
	if c := t.chunks[last]; cap(c)-len(c) < size {
		if last++; last == maxSymbolChunks {
			return 0, false
		}
		// A text longer than a chunk has a chunk of its own.
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

// grow enlarges the table. It visits the texts in order, which is good for caches.
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

// Renew drops all symbols except those that used yields, and overwrites them with their new
// numbers. used must yield a pointer to each symbol in use once, including those of all
// lists of all readers (see Symbols).
func (t *SymbolTable) Renew(used iter.Seq[*Symbol]) {
	old := *t
	*t = SymbolTable{}
	for id := range used {
		if *id != 0 {
			*id, _ = t.Intern(old.Lookup(*id)) // there are fewer than before, so there is space
		}
	}
}
