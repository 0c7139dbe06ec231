package mpm

import (
	"math/bits"
	"slices"
)

// freeSpace is the published words of META or of CELLS blocks that belong to nothing. It
// exists in the writer's memory only. Neighbouring words are one stretch.
//
// Invariants:
//  1. A bit is set exactly if its word is free. So a stretch is a maximal run of bits.
//  2. Every stretch is in the list of its length. A list may also have places that are no
//     stretch of that length any more; stretches counts the others.
type freeSpace struct {
	free   []*blockBits              // by block; nil if nothing in it was ever free
	lists  map[int]*stretches        // by length in words
	filled [blockWords/64 + 1]uint64 // which lengths have a stretch
	words  int                       // number of free words
}

// blockBits has a bit for each word of a block.
type blockBits [blockWords / 64]uint64

// stretches are the stretches of one length.
type stretches struct {
	at []wordOffset // the newest is last
	n  int          // how many of at are stretches
}

// add makes n words free, which one block has.
func (f *freeSpace) add(at wordOffset, n int) {
	block, first := int(at/blockWords), int(at%blockWords)
	for len(f.free) <= block {
		f.free = append(f.free, nil)
	}
	if f.free[block] == nil {
		f.free[block] = new(blockBits)
	}
	b := f.free[block]
	before, after := runBefore(b, first), runAfter(b, first+n)
	if before > 0 {
		f.drop(before)
	}
	if after > 0 {
		f.drop(after)
	}
	setBits(b, first, n, true)
	f.words += n
	f.list(at-wordOffset(before), before+n+after)
}

// take takes the shortest stretch of at least n words, as a whole. odd says that one of n + 1
// words will do. (It has no rest, since 8 bytes are not enough for a record.)
func (f *freeSpace) take(n int, odd bool) (at wordOffset, length int, ok bool) {
	length = f.next(n)
	if length == n+1 && !odd {
		length = f.next(n + 2)
	}
	if length < 0 {
		return 0, 0, false
	}
	at = f.pop(length)
	f.claim(at, length)
	return at, length, true
}

// takeCells takes n words, which may leave a rest of any length.
func (f *freeSpace) takeCells(n int) (at wordOffset, ok bool) {
	length := f.next(n)
	if length < 0 {
		return 0, false
	}
	at = f.pop(length)
	f.claim(at, length)
	f.giveBack(at+wordOffset(n), length-n)
	return at, true
}

// takeLines takes n words, a multiple of a cache line, that begin at a line.
func (f *freeSpace) takeLines(n int) (at wordOffset, ok bool) {
	for _, least := range []int{n, n + lineWords - 1} {
		length := f.next(least)
		if length < 0 {
			return 0, false
		}
		at := f.pop(length)
		front := int(-at % lineWords)
		f.claim(at, length)
		if front+n > length {
			f.giveBack(at, length)
			continue
		}
		f.giveBack(at, front)
		f.giveBack(at+wordOffset(front+n), length-front-n)
		return at + wordOffset(front), true
	}
	return 0, false
}

const lineWords = cacheLine / 8

// giveBack makes the n words free again that were taken with others, if there are any.
func (f *freeSpace) giveBack(at wordOffset, n int) {
	if n > 0 {
		f.add(at, n)
	}
}

// claim marks the words of a stretch, which pop has returned, as in use.
func (f *freeSpace) claim(at wordOffset, n int) {
	setBits(f.free[at/blockWords], int(at%blockWords), n, false)
	f.words -= n
}

// next returns the length of the shortest stretch of at least n words, or -1.
func (f *freeSpace) next(n int) int {
	if f.words < n || n > blockWords {
		return -1
	}
	i := n / 64
	for w := f.filled[i] &^ (1<<(n%64) - 1); ; w = f.filled[i] {
		if w != 0 {
			return 64*i + bits.TrailingZeros64(w)
		}
		if i++; i == len(f.filled) {
			return -1
		}
	}
}

// list notes a stretch.
func (f *freeSpace) list(at wordOffset, n int) {
	if f.lists == nil {
		f.lists = map[int]*stretches{}
	}
	l := f.lists[n]
	if l == nil {
		l = &stretches{}
		f.lists[n] = l
	}
	if len(l.at) > 2*l.n+16 {
		f.tidy(l, n)
	}
	l.at = append(l.at, at)
	l.n++
	f.filled[n/64] |= 1 << (n % 64)
}

// drop notes that there is one stretch of n words less.
func (f *freeSpace) drop(n int) {
	l := f.lists[n]
	if l.n--; l.n == 0 {
		f.filled[n/64] &^= 1 << (n % 64)
		l.at = l.at[:0]
	}
}

// pop returns the newest stretch of n words, of which there is at least one.
func (f *freeSpace) pop(n int) wordOffset {
	l := f.lists[n]
	for {
		at := l.at[len(l.at)-1]
		l.at = l.at[:len(l.at)-1]
		if f.isStretch(at, n) {
			f.drop(n)
			return at
		}
	}
}

// tidy drops places that are no stretches of n words from a list.
func (f *freeSpace) tidy(l *stretches, n int) {
	l.at = slices.DeleteFunc(l.at, func(at wordOffset) bool { return !f.isStretch(at, n) })
	slices.Sort(l.at)
	l.at = slices.Compact(l.at) // a place may have been noted twice
}

func (f *freeSpace) isStretch(at wordOffset, n int) bool {
	b, first := f.free[at/blockWords], int(at%blockWords)
	return runBefore(b, first) == 0 && runAfter(b, first) == n
}

// runAfter returns how many bits from first on are set.
func runAfter(b *blockBits, first int) int {
	i := first
	for i < blockWords {
		w := ^b[i/64] >> (i % 64) // the bits that are not set, and zeros after the last one
		if w != 0 {
			return i + bits.TrailingZeros64(w) - first
		}
		i = i&^63 + 64
	}
	return blockWords - first
}

// runBefore returns how many bits right before end are set.
func runBefore(b *blockBits, end int) int {
	i := end
	for i > 0 {
		last := i - 1
		w := ^b[last/64] << (63 - last%64)
		if w != 0 {
			return end - i + bits.LeadingZeros64(w)
		}
		i = last &^ 63
	}
	return end
}

func setBits(b *blockBits, first, n int, set bool) {
	eachMask(first, n, func(i int, mask uint64) bool {
		if set {
			b[i] |= mask
		} else {
			b[i] &^= mask
		}
		return true
	})
}
