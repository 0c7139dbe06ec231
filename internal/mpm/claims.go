package mpm

import "math/bits"

// claims has a bit for each word of a file that belongs to a series, by block. A removed
// series keeps its words until its record is free, so no word of a sound file is claimed
// twice, and a reader's memory is bounded by the size of the file.
type claims [][]uint64

const (
	blockWords = BlockSize / 8
	wordBits   = 64
)

// claim claims n words of one block for a series, and reports whether all were free.
func (c *claims) claim(at wordOffset, n int) bool {
	if n == 0 {
		return true
	}
	block, first := int(at/blockWords), int(at%blockWords)
	for len(*c) <= block {
		*c = append(*c, nil)
	}
	if (*c)[block] == nil {
		(*c)[block] = make([]uint64, blockWords/wordBits)
	}
	taken := (*c)[block]
	if !eachMask(first, n, func(i int, mask uint64) bool { return taken[i]&mask == 0 }) {
		return false
	}
	return eachMask(first, n, func(i int, mask uint64) bool {
		taken[i] |= mask
		return true
	})
}

// giveBack takes back a claim.
func (c *claims) giveBack(at wordOffset, n int) {
	if n == 0 {
		return
	}
	taken := (*c)[at/blockWords]
	eachMask(int(at%blockWords), n, func(i int, mask uint64) bool {
		taken[i] &^= mask
		return true
	})
}

// words returns the number of words that are claimed.
func (c *claims) words() (n int) {
	for _, block := range *c {
		for _, w := range block {
			n += bits.OnesCount64(w)
		}
	}
	return n
}

// eachMask calls fn with the bits of n words from first on, until fn returns false.
func eachMask(first, n int, fn func(i int, mask uint64) bool) bool {
	for end := first + n; first < end; {
		shift := first % wordBits
		take := min(wordBits-shift, end-first)
		if !fn(first/wordBits, ^uint64(0)>>(wordBits-take)<<shift) {
			return false
		}
		first += take
	}
	return true
}
