package sum

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// FuzzUnpack: whatever an archive's words are, unpacking ends, and what it
// takes packs to something of the same value.
func FuzzUnpack(f *testing.F) {
	for i := range 12 {
		f.Add(byte(i), []byte("0123456789abcdef0123456789abcdef"))
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		schemas := packedSchemas()
		s := schemas[int(which)%len(schemas)]
		var words []uint64
		for ; len(data) >= 8; data = data[8:] {
			w := uint64(0)
			for _, b := range data[:8] {
				w = w<<8 | uint64(b)
			}
			words = append(words, w)
		}
		a, err := Unpack(s, words, &Spare{})
		if err != nil {
			return
		}
		b, err := Unpack(s, a.Pack(s), &Spare{})
		require.NoError(t, err)
		same := func(x, y float64) {
			require.Equal(t, math.Float64bits(x), math.Float64bits(y))
		}
		if !a.Sum.Odd {
			same(a.Sum.Round(), b.Sum.Round())
			same(a.Counter(), b.Counter())
		}
		require.Equal(t, a.Counts, b.Counts)
		require.Equal(t, a.Set, b.Set)
		require.Equal(t, a.stateOf(s), b.stateOf(s))
	})
}

// packedSchemas has a schema of every layout in the archive.
func packedSchemas() []*metric.Schema {
	out := []*metric.Schema{
		{Name: "c", Type: metric.Counter}, {Name: "h", Type: metric.Histogram, Bounds: []float64{1, 2}}, {Name: "s", Type: metric.Summary}, {Name: "i", Type: metric.Info},
		{Name: "e", Type: metric.StateSet, States: []string{"a", "b"}},
		{Name: "e", Type: metric.StateSet, Mode: metric.ModeMostRecent, States: []string{"a", "b"}},
	}
	for m := metric.ModeAll; m.Valid(); m++ {
		if !m.Live() {
			out = append(out, &metric.Schema{Name: "g", Type: metric.Gauge, Mode: m})
		}
	}
	return out
}
