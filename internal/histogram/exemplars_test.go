package histogram_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
)

// integration/oracle compares the choice with client_golang's, of positive values.
func TestDisplaced(t *testing.T) {
	at := func(values ...float64) (held []histogram.Held) {
		for i, v := range values {
			held = append(held, histogram.Held{Value: v, Time: int64(i)})
		}
		return held
	}
	for name, tt := range map[string]struct {
		held  []histogram.Held
		value float64
		ttl   int64
		want  int
	}{
		"the only one":                      {at(1), 5, 100, 0},
		"the older of the closest pair":     {at(8, 1, 1.1, 100), 1000, 100, 1},
		"whatever the order":                {at(8, 1.1, 1, 100), 1000, 100, 1},
		"the neighbour below":               {at(1, 2, 4, 8), 8.1, 100, 3},
		"the neighbour above":               {at(1, 2, 4, 8), 3.9, 100, 2},
		"one of the same value":             {at(1, 2, 4, 8), 4, 100, 2},
		"the oldest, which has expired":     {at(8, 1, 1.1, 100), 1000, 3, 0},
		"nothing that expires only now":     {at(8, 1, 1.1, 100), 1000, 4, 1},
		"closest of negative values":        {at(-8, 1, 5, -8.1, 25), 1000, 100, 0},
		"signs are apart":                   {at(-0.1, 0.1, 10, 20), 1000, 100, 2},
		"zero is far from all":              {at(0, 1e-300, 1e-299, 7), 1e9, 100, 1},
		"two zeros":                         {at(0, 1, math.Copysign(0, -1), 1.1), 1e9, 100, 0},
		"infinities are as any other value": {at(math.Inf(1), 1, math.Inf(1), 1.1), 1e9, 100, 0},
		"two that are far apart":            {at(-1, 1), 0, 100, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := append([]histogram.Held(nil), tt.held...)
			got := histogram.Displaced(tt.held, histogram.Held{Value: tt.value, Time: int64(len(tt.held))}, tt.ttl)
			require.Equal(t, tt.want, got)
			require.Equal(t, before, tt.held)
		})
	}
	many := make([]histogram.Held, histogram.MostExemplars)
	added := histogram.Held{Value: 1, Time: 1}
	require.Zero(t, testing.AllocsPerRun(10, func() { histogram.Displaced(many, added, 5) }))
}
