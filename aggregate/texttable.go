package aggregate

import (
	"math/bits"

	"github.com/multiprom/multiprom/mmapstore"
)

// textTable finds the numbers of slots by their texts: open addressing with four bytes
// for each place.
type textTable struct {
	places []int32 // a number, or one of those below
	used   int     // those that are not free
}

// What a place has that has no number.
const (
	freePlace    = -1
	droppedPlace = -2 // was taken
)

// first returns where to look first for a text, next where behind i.
func (t *textTable) first(id mmapstore.TextID) int {
	const golden = 0x9e3779b97f4a7c15 // spreads numbers that follow each other
	hi, _ := bits.Mul64(uint64(id)*golden, uint64(len(t.places)))
	return int(hi)
}

func (t *textTable) next(i int) int {
	if i++; i == len(t.places) {
		return 0
	}
	return i
}

// find returns the number of the text, or -1. texts are those of all numbers.
func (t *textTable) find(texts []mmapstore.TextID, id mmapstore.TextID) int32 {
	if len(t.places) == 0 {
		return -1
	}
	for i := t.first(id); ; i = t.next(i) {
		switch n := t.places[i]; {
		case n == freePlace:
			return -1
		case n >= 0 && texts[n] == id:
			return n
		}
	}
}

// add adds a number whose text was not there. has says which numbers the table has.
func (t *textTable) add(texts []mmapstore.TextID, n int32, has func(int32) bool) {
	if 4*(t.used+1) > 3*len(t.places) {
		t.fill(texts, has)
	} else {
		t.put(texts, n)
	}
}

func (t *textTable) put(texts []mmapstore.TextID, n int32) {
	i := t.first(texts[n])
	for t.places[i] != freePlace {
		i = t.next(i)
	}
	t.places[i] = n
	t.used++
}

// fill makes the table anew, with room, of all numbers that have a text, as far as it
// has them.
func (t *textTable) fill(texts []mmapstore.TextID, has func(int32) bool) {
	there := 0
	for n, id := range texts {
		if id != 0 && has(int32(n)) {
			there++
		}
	}
	*t = textTable{places: make([]int32, 2*there+16)}
	for i := range t.places {
		t.places[i] = freePlace
	}
	for n, id := range texts {
		if id != 0 && has(int32(n)) {
			t.put(texts, int32(n))
		}
	}
}

// drop takes a number out.
func (t *textTable) drop(texts []mmapstore.TextID, n int32) {
	for i := t.first(texts[n]); ; i = t.next(i) {
		switch t.places[i] {
		case n:
			t.places[i] = droppedPlace
			return
		case freePlace:
			return // it is not there
		}
	}
}
