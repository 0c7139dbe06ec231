package histogram

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpread(t *testing.T) {
	held := []Held{{1, 5}, {1.01, 4}, {10, 3}, {10.2, 9}, {1000, 1}}
	for most, want := range map[int][]int{
		5: {0, 1, 2, 3, 4},
		4: {0, 2, 3, 4}, // 1.01 is the older one of the closest pair
		3: {0, 3, 4},
		2: {3, 4}, // 1 is further from 10.2 in numbers, but nearer in buckets
		1: {3},
		0: {},
	} {
		require.ElementsMatch(t, want, Spread(held, most), "%d", most)
	}
	require.Empty(t, Spread(nil, 3))
}

// plainSpread is Spread, as its rule says it.
func plainSpread(held []Held, most int) (stay []int) {
	for i := range held {
		stay = append(stay, i)
	}
	for len(stay) > most {
		closest, out := math.Inf(1), older(held, stay[0], stay[1])
		for k := 1; k < len(stay); k++ {
			if d := distance(held[stay[k-1]].Value, held[stay[k]].Value); d < closest {
				closest, out = d, older(held, stay[k-1], stay[k])
			}
		}
		stay = slices.DeleteFunc(stay, func(i int) bool { return i == out })
	}
	return stay
}

// randomHeld returns exemplars, of which some are equally far apart or equally old.
func randomHeld(rnd *rand.Rand, n int) []Held {
	held := make([]Held, n)
	for i := range held {
		held[i] = Held{math.Exp(rnd.NormFloat64()), rnd.Int64N(int64(n))}
		switch rnd.IntN(6) {
		case 0:
			held[i].Value = math.Ldexp(1, rnd.IntN(6))
		case 1:
			held[i].Value = []float64{0, math.Inf(1), math.Inf(-1), -1, -2, math.SmallestNonzeroFloat64}[rnd.IntN(6)]
		}
	}
	slices.SortFunc(held, func(x, y Held) int { return cmp.Compare(x.Value, y.Value) })
	return held
}

func TestSpreadOfMany(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 8))
		held := randomHeld(rnd, 1+rnd.IntN(100))
		for _, most := range []int{1, 2, 10, len(held) - 1, len(held)} {
			if most > 0 {
				require.Equal(t, plainSpread(held, most), Spread(held, most), "seed %d, %d of %v", seed, most, held)
			}
		}
	}
}

// Those of 64 processes with 10 each.
func BenchmarkSpread(b *testing.B) {
	held := randomHeld(rand.New(rand.NewPCG(1, 8)), 640)
	for b.Loop() {
		Spread(held, 10)
	}
}

func TestDefinitions(t *testing.T) {
	a, b := Definition{3, 160, 0.5}.Definitions(), Definition{1, 200, 0.25}.Definitions()
	require.Equal(t, a, a.With(Definitions{}))
	require.Equal(t, a, Definitions{}.With(a))
	require.Equal(t, a.With(b), b.With(a))
	var total Total
	require.Equal(t, Definitions{}, total.Definitions())
	total.DefineAll(Definitions{})
	require.Equal(t, Definitions{}, total.Definitions())
	total.DefineAll(a.With(b))
	require.Equal(t, a.With(b), total.Definitions())
	require.Equal(t, 1, total.Schema())
}
