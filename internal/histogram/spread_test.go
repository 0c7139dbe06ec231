package histogram

import (
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
