package actions

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRandomFollowsTheWeights: each action happens about as often as its weight says. An
// action of weight 0 never happens.
func TestRandomFollowsTheWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	did := map[string]int{}
	all := List{
		{Weight: 1, Name: "rare", Do: func() { did["rare"]++ }},
		{Weight: 0, Name: "never", Do: func() { did["never"]++ }},
		{Weight: 3, Name: "often", Do: func() { did["often"]++ }},
		{Weight: 4, Name: "nothing"},
	}
	named := map[string]int{}
	for range 8000 {
		named[all.Random(r)]++
	}
	require.InDelta(t, 1000, did["rare"], 200)
	require.InDelta(t, 3000, did["often"], 300)
	require.InDelta(t, 4000, named["nothing"], 300)
	require.Equal(t, did["rare"], named["rare"])
	require.NotContains(t, named, "never")
}
