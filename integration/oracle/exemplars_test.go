package oracle

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
)

// TestExemplarsAreTheirs asks, before each of client_golang's choices, which exemplar should
// go. The times are those that client_golang took.
func TestExemplarsAreTheirs(t *testing.T) {
	expired, displaced := 0, 0
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 10))
		most := 1 + rnd.IntN(10)
		ttl := time.Hour
		if rnd.IntN(3) == 0 {
			ttl = 50 * time.Microsecond
		}
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxExemplars: most, NativeHistogramExemplarTTL: ttl,
		})
		held := func() (out []histogram.Held) {
			var m dto.Metric
			require.NoError(t, h.Write(&m))
			for _, x := range m.Histogram.Exemplars {
				out = append(out, histogram.Held{Value: x.GetValue(), Time: x.Timestamp.AsTime().UnixNano()})
			}
			return out
		}
		for range 60 {
			before := held()
			value := math.Exp(rnd.NormFloat64() * 3)
			if len(before) > 0 && rnd.IntN(10) == 0 {
				value = before[rnd.IntN(len(before))].Value
			}
			h.(prometheus.ExemplarObserver).ObserveWithExemplar(value, prometheus.Labels{"trace": "t"})
			after := held()
			if len(before) < most {
				require.Len(t, after, len(before)+1)
				continue
			}
			added := -1
			for i, x := range after {
				if x.Value == value && !slices.Contains(before, x) {
					added = i
				}
			}
			require.GreaterOrEqual(t, added, 0)
			x := after[added]
			i := histogram.Displaced(before, x, int64(ttl))
			want := slices.Delete(slices.Clone(before), i, i+1)
			require.ElementsMatch(t, slices.Delete(after, added, added+1), want)
			displaced++
			if ttl < time.Hour && x.Time-before[i].Time > int64(ttl) {
				expired++
			}
		}
	}
	require.Greater(t, displaced, 1000)
	require.Greater(t, expired, 10)
}
