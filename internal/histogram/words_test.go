package histogram_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
)

// TestWords: a Total that went through an archive merges as the one that did not.
func TestWords(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 8))
		var kept, live, want histogram.Total
		for range 1 + rnd.IntN(3) {
			p := randomPart(rnd, thresholds[rnd.IntN(len(thresholds))])
			p.addTo(&kept)
			p.addTo(&want)
		}
		kept.Fit()
		words := append(kept.AppendWords([]uint64{7}), 8, 9)
		var read histogram.Total
		read.Add(0, false, 3, 1) // what was there before goes
		rest, err := read.ReadWords(words[1:])
		require.NoError(t, err)
		require.Equal(t, []uint64{8, 9}, rest)
		require.Equal(t, words, append(read.AppendWords([]uint64{7}), 8, 9))

		p := randomPart(rnd, thresholds[rnd.IntN(len(thresholds))])
		p.addTo(&live)
		p.addTo(&want)
		live.Merge(&read)
		requireShown(t, show(&want, true), show(&live, true))
	}
}

func TestWordsAreChecked(t *testing.T) {
	good := func() []uint64 {
		var total histogram.Total
		total.Define(histogram.Definition{Schema: -2, Limit: 160, Threshold: 0.5})
		total.Define(histogram.Definition{Schema: -2, Limit: 160, Threshold: 1})
		for _, i := range []int32{-3, 5} {
			total.Add(-2, false, i, 1)
			total.Add(-2, true, i, 2)
		}
		return total.AppendWords(nil)
	}
	require.Len(t, good(), 13)
	for name, tt := range map[string]struct {
		corrupt func(w []uint64) []uint64
		want    string
	}{
		"short":               {func(w []uint64) []uint64 { return w[:4] }, "fewer words"},
		"short buckets":       {func(w []uint64) []uint64 { return w[:12] }, "fewer words"},
		"many buckets":        {func(w []uint64) []uint64 { w[0] |= math.MaxUint32 << 32; return w }, "fewer words"},
		"schema":              {func(w []uint64) []uint64 { w[0] = w[0]&^0xFF | 9; return w }, "schema 9"},
		"reserved":            {func(w []uint64) []uint64 { w[0] |= 1 << 24; return w }, "schema"},
		"limit":               {func(w []uint64) []uint64 { w[0] &^= 0xFFFF00; return w }, "no limit"},
		"thresholds":          {func(w []uint64) []uint64 { w[1], w[2] = w[2], w[1]; return w }, "thresholds 1 and 0.5"},
		"NaN":                 {func(w []uint64) []uint64 { w[2] = math.Float64bits(math.NaN()); return w }, "and NaN"},
		"infinite":            {func(w []uint64) []uint64 { w[2] = math.Float64bits(math.Inf(1)); return w }, "and +Inf"},
		"bucket out of range": {func(w []uint64) []uint64 { w[7] = 300; return w }, "bucket 0x12c"},
		"reserved bits":       {func(w []uint64) []uint64 { w[7] |= 1 << 40; return w }, "bucket 0x1"},
		"empty bucket":        {func(w []uint64) []uint64 { w[8] = 0; return w }, "empty bucket"},
		"twice":               {func(w []uint64) []uint64 { w[7] = w[5]; return w }, "not in order"},
		"mixed signs":         {func(w []uint64) []uint64 { w[7], w[9] = w[9], w[7]; return w }, "not in order"},
	} {
		t.Run(name, func(t *testing.T) {
			var total histogram.Total
			_, err := total.ReadWords(tt.corrupt(good()))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// FuzzWords: what is accepted is written back as it was, and can be shown.
func FuzzWords(f *testing.F) {
	bytesOf := func(words []uint64) (b []byte) {
		for _, w := range words {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	for seed := range uint64(8) {
		var total histogram.Total
		randomPart(rand.New(rand.NewPCG(seed, 9)), 0.001).addTo(&total)
		total.Fit()
		f.Add(bytesOf(total.AppendWords(nil)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var words []uint64
		for ; len(data) >= 8; data = data[8:] {
			words = append(words, binary.LittleEndian.Uint64(data))
		}
		var total histogram.Total
		rest, err := total.ReadWords(words)
		if err != nil {
			return
		}
		used := words[:len(words)-len(rest)]
		require.Equal(t, used, total.AppendWords(nil))
		total.Fit()
		var s shown
		if count, ok := total.Show(&s.NativeHistogram, true); ok {
			require.NoError(t, histogram.Check(&s.NativeHistogram, count, math.NaN()))
		}
	})
}
