package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
)

// choices makes a fuzzer's bytes a source of random numbers, one byte for
// each, so that changing one changes one decision.
type choices struct {
	bytes []byte
	rest  rand.PCG
}

func (c *choices) Uint64() uint64 {
	if len(c.bytes) == 0 {
		return c.rest.Uint64()
	}
	b := uint64(c.bytes[0])
	c.bytes = c.bytes[1:]
	return b * 0x0101010101010101
}

// FuzzMerge lets the fuzzer choose processes, what they define and count, who of
// them is dead and which of the dead are compacted, and when: the view is that of
// the reference merge.
func FuzzMerge(f *testing.F) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(r.Uint64())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := rand.New(&choices{bytes: data, rest: *rand.NewPCG(1, 1)})
		var known []given
		symbols := &mpm.SymbolTable{}
		all, view := newSnapshot("", nil, 0, symbols), newTable("pid", symbols)
		all.listed = time.Unix(0, math.MaxInt64)
		check := func() {
			view.plan(all)
			view.merge(all, math.MaxInt64)
			require.Equal(t, reference(known), flatten(view.families(false)))
		}
		for p := range 1 + r.IntN(5) {
			live, name := r.IntN(3) > 0, fmt.Sprintf("p%d", p)
			store := mpm.NewHeap(mpm.Options{Label: name, Now: func() time.Time { return time.Unix(int64(p), 0) }})
			known = append(known, randomProcess(t, r, &process{store, t}, name, live)...)
			one := all.addStore(store)
			_, err := one.read()
			require.NoError(t, err)
			one.live, one.dead = live, !live
			if r.IntN(2) == 0 {
				check()
			}
			if r.IntN(2) == 0 {
				compactInMemory(t, view, all)
			}
		}
		check()
	})
}

// compactInMemory compacts the dead as a pass does, without a directory.
func compactInMemory(t *testing.T, view *table, all *snapshot) {
	sum, err := newArchiver(all.archive.Archive, nil, 0)
	require.NoError(t, err)
	var rest, gone []*file
	for _, f := range all.files {
		if !f.dead {
			rest = append(rest, f)
			continue
		}
		require.NoError(t, sum.add(f, time.Unix(9, 0)))
		gone = append(gone, f)
	}
	a := sum.archive(time.Unix(9, 0), sum.prune(time.Unix(9, 0), NoLimit, NoLimit))
	a.Generation = all.archive.Generation + 1
	all.files = rest
	all.archive, err = newArchived(a)
	require.NoError(t, err)
	view.follow(all, changes{gone: gone})
}
