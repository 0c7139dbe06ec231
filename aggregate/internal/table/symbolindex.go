package table

import (
	"math/bits"
	"slices"

	"github.com/multiprom/multiprom/internal/mpm"
)

// symbolIndex finds the numbers of rows by their symbols. It is a hash table with open
// addressing and four bytes an entry.
type symbolIndex struct {
	entries []int32 // a number, freeEntry or droppedEntry
	used    int     // entries that are not free
}

// Entries without a number.
const (
	freeEntry    = -1
	droppedEntry = -2 // had one
)

// first returns where to look first for a symbol, and next where to look after i.
func (t *symbolIndex) first(id mpm.Symbol) int {
	const golden = 0x9e3779b97f4a7c15 // spreads numbers that follow each other
	hi, _ := bits.Mul64(uint64(id)*golden, uint64(len(t.entries)))
	return int(hi)
}

func (t *symbolIndex) next(i int) int {
	if i++; i == len(t.entries) {
		return 0
	}
	return i
}

// find returns the number of a symbol, or -1. symbols has the symbols of all numbers.
func (t *symbolIndex) find(symbols []mpm.Symbol, id mpm.Symbol) int32 {
	if len(t.entries) == 0 {
		return -1
	}
	for i := t.first(id); ; i = t.next(i) {
		switch n := t.entries[i]; {
		case n == freeEntry:
			return -1
		case n >= 0 && symbols[n] == id:
			return n
		}
	}
}

// add adds a number whose symbol is not in the table.
func (t *symbolIndex) add(symbols []mpm.Symbol, n int32) {
	if 4*(t.used+1) > 3*len(t.entries) {
		t.fill(symbols)
	} else {
		t.put(symbols, n)
	}
}

func (t *symbolIndex) put(symbols []mpm.Symbol, n int32) {
	i := t.first(symbols[n])
	for t.entries[i] != freeEntry {
		i = t.next(i)
	}
	t.entries[i] = n
	t.used++
}

// fill builds the table again, with spare room, of all numbers that have a symbol.
func (t *symbolIndex) fill(symbols []mpm.Symbol) {
	there := 0
	for _, id := range symbols {
		if id != 0 {
			there++
		}
	}
	*t = symbolIndex{entries: slices.Repeat([]int32{freeEntry}, 2*there+16)}
	for n, id := range symbols {
		if id != 0 {
			t.put(symbols, int32(n))
		}
	}
}

// drop takes a number out.
func (t *symbolIndex) drop(symbols []mpm.Symbol, n int32) {
	for i := t.first(symbols[n]); ; i = t.next(i) {
		switch t.entries[i] {
		case n:
			t.entries[i] = droppedEntry
			return
		case freeEntry:
			return // it is not there
		}
	}
}
