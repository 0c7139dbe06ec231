package registry_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
)

// Native buckets are checked like classic ones: a server that finds a mistake rejects the
// whole scrape.
func TestNativeBucketsAreChecked(t *testing.T) {
	good := func() *metric.Family {
		f := family(metric.Histogram, "h") // two observations
		f.Series[0].Native = &metric.NativeHistogram{Schema: 1, Positive: []metric.Span{{Offset: 1, Counts: []uint64{1, 1}}}}
		return f
	}
	for want, spoil := range map[string]func(f *metric.Family){
		"": func(*metric.Family) {},
		"its count is 2, but 3 in its native buckets": func(f *metric.Family) { f.Series[0].Native.ZeroCount = 1 },
		"schema 9 is not between -4 and 8":            func(f *metric.Family) { f.Series[0].Native.Schema = 9 },
		"a native histogram needs a sum":              func(f *metric.Family) { f.Series[0].NoSum = true },
		"an exemplar of its native buckets is nil":    func(f *metric.Family) { f.Series[0].Native.Exemplars = []*metric.Exemplar{nil} },
		"the zero threshold NaN":                      func(f *metric.Family) { f.Series[0].Native.ZeroThreshold = math.NaN() },
		"a gauge histogram has no native buckets":     func(f *metric.Family) { f.Type = metric.GaugeHistogram },
	} {
		f := good()
		spoil(f)
		r := registry.New(registry.Options{})
		require.NoError(t, r.Register(unchecked("c", f)))
		families, err := r.Gather(t.Context())
		if want == "" {
			require.NoError(t, err)
			require.Len(t, families, 1)
			continue
		}
		require.ErrorIs(t, err, metric.ErrInvalid)
		require.ErrorContains(t, err, want)
		require.Empty(t, families)
	}
}
