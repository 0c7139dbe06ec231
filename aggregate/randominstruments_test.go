package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// randomTime returns a time of a clock that may be fast. Equal ones are likely.
func randomTime(r *rand.Rand) int64 {
	ahead := []time.Duration{0, 0, 0, 2 * time.Second, sum.MaxAhead + 2*time.Second, time.Hour, 3 * time.Hour, 24 * time.Hour}
	return 1 + r.Int64N(5) + int64(ahead[r.IntN(len(ahead))])
}

// randomInstruments adds series of every type and mode, some with schemas
// that conflict with another process's, with values that no sum of floats
// leaves exact.
func randomInstruments(t *testing.T, r *rand.Rand, p *process) (kept []*mpm.Series) {
	schemas := []*metric.Schema{
		counter("c", "l"), gauge("c2", metric.ModeSum, "l"),
		{Name: "s", Help: fmt.Sprint("S.", r.IntN(3)), Type: metric.Summary, Labels: []string{"l"}},
		{Name: "h", Help: "H.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: [][]float64{{1, 2, 3}, {2, 4}, {0.5}}[r.IntN(3)]},
		histogramSchema("hx", 1, 2, 3), // with exemplars
		{Name: "i", Help: "I.", Type: metric.Info, Labels: []string{"l"}},
		{Name: "e_all", Help: "E.", Type: metric.StateSet, Mode: metric.ModeAll, Labels: []string{"l"}, States: []string{"a", "b"}},
		{Name: "e_live", Help: "E.", Type: metric.StateSet, Mode: metric.ModeLiveAll, Labels: []string{"l"}, States: []string{"a", "b"}},
		{Name: "e_recent", Help: "E.", Type: metric.StateSet, Mode: metric.ModeMostRecent, Labels: []string{"l"}, States: []string{"a", "b"}},
	}
	for _, s := range []*metric.Schema{nativeSchema(r, "n"), nativeSchema(r, "nb", [][]float64{{1, 2, 3}, {2, 4}}[r.IntN(2)]...), anyKind(r, "kinds")} {
		if s.Native != nil {
			s.Native.MaxExemplars = 16 // all are shown: else it matters who is merged first
		}
		schemas = append(schemas, s)
	}
	if r.IntN(3) == 0 {
		schemas[0] = gauge("c", metric.ModeMax, "l")
	}
	for m := metric.ModeAll; m.Valid(); m++ {
		schemas = append(schemas, gauge("g_"+m.String(), m, "l"))
	}
	r.Shuffle(len(schemas), func(i, j int) { schemas[i], schemas[j] = schemas[j], schemas[i] })
	for _, schema := range schemas[r.IntN(4):] {
		f, err := p.AddSchema(schema)
		require.NoError(t, err)
		for n := range r.IntN(4) {
			var extra metric.Labels
			if schema.Type == metric.Info {
				extra = metric.MakeLabels("version", strconv.Itoa(r.IntN(3)))
			}
			s, err := p.AddSeries(f, []string{strconv.Itoa(n)}[:len(schema.Labels)], extra)
			require.NoError(t, err)
			if schema.Native != nil {
				newRecorded(s, schema).change(r, time.Unix(0, randomTime(r)))
			} else {
				randomWords(r, schema, s.Words())
				randomExemplars(r, s, schema)
			}
			if r.IntN(6) == 0 {
				s.Remove()
			} else {
				kept = append(kept, s)
			}
		}
	}
	return kept
}

func randomExemplars(r *rand.Rand, s *mpm.Series, schema *metric.Schema) {
	if schema.Type != metric.Counter && schema.Name != "hx" {
		return
	}
	for range r.IntN(6) {
		v := float64(r.IntN(5)) // of hx: the upper bound of its bucket, or above all
		bucket := 0
		if schema.Type == metric.Histogram {
			bucket, _ = slices.BinarySearch(schema.Bounds, v)
		}
		s.SetExemplar(bucket, metric.MakeLabels("id", strconv.Itoa(r.IntN(3))), v, randomTime(r))
	}
}

func randomWords(r *rand.Rand, schema *metric.Schema, w []uint64) {
	inexact := math.Float64bits(math.Ldexp(r.Float64(), r.IntN(80)-40))
	switch {
	case schema.Type == metric.Info:
	case schema.Timed():
		if r.IntN(3) > 0 {
			v := float64(r.IntN(2))
			mpm.StoreRecent(w, math.Float64bits(v), randomTime(r))
		}
	case schema.Type == metric.Counter:
		w[0], w[1] = r.Uint64()>>r.IntN(64), inexact
	case schema.Type == metric.Gauge:
		if r.IntN(3) > 0 {
			w[0] = [...]uint64{inexact, inexact, math.Float64bits(math.NaN()), math.Float64bits(math.Inf(1))}[r.IntN(4)]
		}
	case schema.Type == metric.StateSet:
		w[0] = uint64(r.IntN(2))
	case schema.Type == metric.Summary:
		w[0], w[1] = r.Uint64N(1000), inexact
	default:
		w[0] = inexact
		for i := range w[1:] {
			w[1+i] = r.Uint64N(1000)
		}
	}
}
