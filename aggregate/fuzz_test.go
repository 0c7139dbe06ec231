package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/table"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/views"
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
		var natives []nativeGiven
		symbols := &mpm.SymbolTable{}
		all, view := snapshot.New("", nil, 0, symbols), table.New("pid", symbols, nil)
		all.Listed = time.Unix(0, math.MaxInt64)
		check := func() {
			view.Plan(all)
			view.Merge(all, math.MaxInt64)
			families, lines := withoutNatives(views.Whole(view.Families()))
			require.Equal(t, reference(known), flatten(families))
			require.Equal(t, referenceNatives(natives), lines)
		}
		for p := range 1 + r.IntN(5) {
			live, name := r.IntN(3) > 0, fmt.Sprintf("p%d", p)
			store := mpm.NewHeap(mpm.Options{Label: name, Now: func() time.Time { return time.Unix(int64(p), 0) }})
			known = append(known, randomProcess(t, r, &process{store, t}, name, live)...)
			natives = append(natives, randomNatives(t, r, &process{store, t})...)
			one := all.AddStore(store)
			require.NoError(t, one.Read())
			one.Live, one.Dead = live, !live
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
func compactInMemory(t *testing.T, view *table.Table, all *snapshot.Snapshot) {
	sum, err := compact.NewArchiver(all.Archive.Archive, nil, 0)
	require.NoError(t, err)
	var rest, gone []*snapshot.File
	for _, f := range all.Files {
		if !f.Dead {
			rest = append(rest, f)
			continue
		}
		require.NoError(t, sum.Add(f, time.Unix(9, 0)))
		gone = append(gone, f)
	}
	a := sum.Archive(time.Unix(9, 0), sum.Prune(time.Unix(9, 0), options.NoLimit, options.NoLimit))
	a.Generation = all.Archive.Generation + 1
	all.Files = rest
	all.Archive, err = snapshot.NewArchive(a)
	require.NoError(t, err)
	view.Follow(all, snapshot.Changes{Gone: gone})
}
