package sum

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// TestExactSum compares with arithmetic that has bits enough for every float.
func TestExactSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		var s, left, right Exact
		want := new(big.Float).SetPrec(2200)
		n := 1 + r.IntN(12)
		split := r.IntN(n)
		for i := range n {
			x := math.Ldexp(r.Float64()-0.5, r.IntN(130)-65)
			if r.IntN(4) == 0 {
				x = math.Ldexp(1, r.IntN(120)-60) // ties
			}
			want.Add(want, big.NewFloat(x))
			s.Add(x)
			if i < split {
				left.Add(x)
			} else {
				right.Add(x)
			}
		}
		rounded, _ := want.Float64()
		require.Equal(t, rounded, s.Round())
		right.Join(&left)
		require.Equal(t, rounded, right.Round(), "another grouping is the same sum")
	}
}

func TestExactSumOfInfinities(t *testing.T) {
	sum := func(xs ...float64) float64 {
		var s Exact
		for _, x := range xs {
			s.Add(x)
		}
		return s.Round()
	}
	inf := math.Inf(1)
	require.Equal(t, inf, sum(1, inf, 2))
	require.True(t, math.IsNaN(sum(inf, -inf)))
	require.True(t, math.IsNaN(sum(1, math.NaN())))
	require.Equal(t, inf, sum(math.MaxFloat64, math.MaxFloat64, 1))
}

// TestCounterHas128Bits: whole increments of many processes may pass 2^64.
func TestCounterHas128Bits(t *testing.T) {
	schema := &metric.Schema{Name: "c", Type: metric.Counter}
	var a, b Accumulator
	for range 4 {
		a.Add(schema, []uint64{math.MaxUint64, math.Float64bits(0.5)}, nil, 0, Source{})
	}
	a.Add(schema, []uint64{4, 0}, nil, 0, Source{})
	require.Equal(t, math.Ldexp(1, 66), a.Counter())
	words := a.Pack(schema)
	packed, err := Unpack(schema, words, &Spare{})
	require.NoError(t, err)
	b.Join(schema, &packed, nil, 0)
	require.Equal(t, a.Counter(), b.Counter())
	require.Equal(t, words, b.Pack(schema))
}

// TestPackKeepsWhatASumIs: what goes into the archive comes out of it, an infinity
// and NaN too.
func TestPackKeepsWhatASumIs(t *testing.T) {
	for _, schema := range []*metric.Schema{
		{Name: "c", Type: metric.Counter}, {Name: "s", Type: metric.Summary}, {Name: "h", Type: metric.Histogram, Bounds: []float64{1}},
		{Name: "g", Type: metric.Gauge, Mode: metric.ModeSum},
	} {
		for _, added := range [][]float64{{}, {1.5, 1e300, 1e-300}, {math.Inf(1)}, {1, math.Inf(-1), 2}, {math.Inf(1), math.Inf(-1)}, {3, math.NaN()}} {
			a := Accumulator{Pick: Pick{Present: true, Set: true}, Counts: []uint64{1, 2}}
			for _, v := range added {
				a.Sum.Add(v)
			}
			b, err := Unpack(schema, a.Pack(schema), &Spare{})
			require.NoError(t, err)
			want, got := a.Sum.Round(), b.Sum.Round()
			require.True(t, want == got || math.IsNaN(want) && math.IsNaN(got), "%s of %v: %v, not %v", schema.Type, added, got, want)
		}
	}
}
