package mpm

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// naiveSpace has a flag for each word, of three blocks.
type naiveSpace [3 * blockWords]bool

// stretches calls fn with each maximal run of free words of one block.
func (s *naiveSpace) stretches(fn func(at, n int)) {
	n := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] && (n == 0 || i%blockWords != 0) {
			n++
			continue
		}
		if n > 0 {
			fn(i-n, n)
		}
		n = 0
		if i < len(s) && s[i] {
			n = 1
		}
	}
}

// shortest returns the length of the shortest stretch with n words, or -1.
func (s *naiveSpace) shortest(n int) int {
	best := -1
	s.stretches(func(_, length int) {
		if length >= n && (best < 0 || length < best) {
			best = length
		}
	})
	return best
}

func (s *naiveSpace) set(t *testing.T, at wordOffset, n int, free bool) {
	for i := int(at); i < int(at)+n; i++ {
		require.NotEqual(t, free, s[i], "word %d", i)
		s[i] = free
	}
}

// checkFreeSpace takes and frees words at random and compares with flags.
func checkFreeSpace(t *testing.T, seed uint64, steps int) {
	r := rand.New(rand.NewPCG(seed, 0))
	var f freeSpace
	var naive naiveSpace
	type part struct {
		at wordOffset
		n  int
	}
	var used []part
	for b := range 3 {
		used = append(used, part{wordOffset(b * blockWords), 8}) // a header, which stays
		for at := 8; at < blockWords; {
			n := min(2+r.IntN(40), blockWords-at)
			used = append(used, part{wordOffset(b*blockWords + at), n})
			at += n
		}
	}
	headers := 3
	free := func(i int) {
		p := used[i]
		if p.at%blockWords == 0 {
			return
		}
		used[i] = used[len(used)-1]
		used = used[:len(used)-1]
		f.add(p.at, p.n)
		naive.set(t, p.at, p.n, true)
	}
	for range steps {
		n := 2 + r.IntN(30)
		switch r.IntN(5) {
		case 0, 1:
			free(r.IntN(len(used)))
		case 2:
			odd := r.IntN(2) == 0
			want := naive.shortest(n)
			if want == n+1 && !odd {
				want = naive.shortest(n + 2)
			}
			at, length, ok := f.take(n, odd)
			require.Equal(t, want >= 0, ok)
			if !ok {
				continue
			}
			require.Equal(t, want, length)
			naive.set(t, at, length, false)
			used = append(used, part{at, length})
		case 3:
			want := naive.shortest(n)
			at, ok := f.takeCells(n)
			require.Equal(t, want >= 0, ok)
			if ok {
				naive.set(t, at, n, false)
				used = append(used, part{at, n})
			}
		default:
			n = lineWords * (1 + n%3)
			at, ok := f.takeLines(n)
			if ok {
				require.Zero(t, at%lineWords)
				naive.set(t, at, n, false)
				used = append(used, part{at, n})
			} else {
				require.Negative(t, naive.shortest(n+lineWords-1))
			}
		}
		words := 0
		naive.stretches(func(_, n int) { words += n })
		require.Equal(t, words, f.words)
	}
	for len(used) > headers {
		for i := len(used) - 1; i >= 0; i-- {
			free(i)
		}
	}
	require.Equal(t, 3*(blockWords-8), f.words, "everything is free again")
	for range 3 {
		_, length, ok := f.take(1, true)
		require.True(t, ok)
		require.Equal(t, blockWords-8, length, "neighbours are one stretch")
	}
	for n, l := range f.lists {
		require.Zero(t, l.n, n)
		require.LessOrEqual(t, len(l.at), 16, "lists of what was free once stay short")
	}
}

func TestFreeSpace(t *testing.T) {
	for seed := range uint64(10) {
		checkFreeSpace(t, seed, 600)
	}
}

func FuzzFreeSpace(f *testing.F) {
	f.Add(uint64(1), uint16(100))
	f.Add(uint64(2), uint16(2000))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) { checkFreeSpace(t, seed, int(steps%2000)) })
}
