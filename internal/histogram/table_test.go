package histogram

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// TestTable: a table leads to the words of each region that it was given, and of no other one,
// for every number that a region can have, in every schema.
func TestTable(t *testing.T) {
	type place struct {
		number   int32
		negative bool
	}
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		schema := MinSchema + rnd.IntN(MaxSchema-MinSchema+1)
		first, last := Range(schema)
		low, high := RegionOf(first), RegionOf(last)
		spread := min(high-low, int32(1)<<rnd.IntN(18)) // neighbours, or anywhere
		from := low + rnd.Int32N(high-low-spread+1)
		var heap Heap
		want := map[place]*[RegionBuckets]uint64{}
		tables := []*table{newTable(&keeper{native: &metric.NativeSchema{Schema: schema}}, schema, 0)}
		for range rnd.IntN(384) {
			at := place{from + rnd.Int32N(spread+1), rnd.IntN(4) == 0}
			if want[at] != nil {
				continue
			}
			now := tables[len(tables)-1]
			require.Nil(t, now.find(keyOf(at.number, signOf(at.negative))))
			want[at] = heap.AddRegion(Region{})
			tables = append(tables, now.with(at.number, at.negative, want[at]))
			require.Nil(t, now.find(keyOf(at.number, signOf(at.negative))), "a table never changes")
		}
		now := tables[len(tables)-1]
		require.EqualValues(t, len(want), now.n)
		require.LessOrEqual(t, 4*now.n, 3*(now.mask+1), "a quarter is empty")
		for number := max(low, from-600); number <= min(high, from+spread+600); number += 1 + spread/2000 {
			for _, negative := range []bool{false, true} {
				require.Same(t, want[place{number, negative}], now.find(keyOf(number, signOf(negative))))
			}
		}
		for at, counts := range want {
			require.Same(t, counts, now.find(keyOf(at.number, signOf(at.negative))))
		}
	}
}

// TestKeys: no two regions have the same key, and none has that of an empty entry.
func TestKeys(t *testing.T) {
	first, last := Range(MaxSchema)
	seen := map[entry]bool{0: true}
	for number := RegionOf(first); number <= RegionOf(last); number++ {
		for _, negative := range []bool{false, true} {
			key := keyOf(number, signOf(negative))
			require.False(t, seen[key] || key&^entryKey != 0)
			seen[key] = true
		}
	}
}
