package mpm

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestChanges: a reader that applies changes and reads new values has the same values as one
// that reads everything.
func TestChanges(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		r := rand.New(rand.NewPCG(1, 9))
		known := follow(t, open())
		var families []*SchemaRef
		for _, schema := range everyType() {
			f, err := s.AddSchema(schema)
			require.NoError(t, err)
			families = append(families, f)
		}
		var series []*Series
		for round := range 200 {
			for range r.IntN(12) {
				f := families[r.IntN(len(families))]
				values := make([]string, len(f.Schema().Labels))
				for i := range values {
					values[i] = strconv.Itoa(r.IntN(1e9))
				}
				one, err := s.AddSeries(f, values, nil)
				require.NoError(t, err)
				series = append(series, one)
			}
			changed := 0
			for _, one := range series {
				if w := one.Words(); len(w) > 0 && r.IntN(1+round%40) == 0 {
					changed++
					if one.ref.schema.Timed() {
						StoreRecent(w, r.Uint64(), 1+r.Int64N(1e9))
					} else {
						atomic.AddUint64(&w[r.IntN(len(w))], 1+r.Uint64N(3))
					}
				}
			}
			now := known.read()
			changes := now.Live.Changes
			require.LessOrEqual(t, len(changes), 2*changed)
			require.True(t, slices.IsSortedFunc(changes, func(a, b Change) int { return a.At - b.At }))
			require.Empty(t, now.Live.Gone)
			require.True(t, now.Removed.Same() || round == 0)
			all := follow(t, open())
			all.read()
			require.Equal(t, all.live, known.live)
			require.Empty(t, known.read().Live.Changes)
		}
	})
}

// BenchmarkChanges compares the values of 5,000 counters, none of which has changed.
func BenchmarkChanges(b *testing.B) {
	s, err := Create(b.TempDir(), Options{})
	require.NoError(b, err)
	f, err := s.AddSchema(counterSchema("c", "n"))
	require.NoError(b, err)
	for i := range 5000 {
		_, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
		require.NoError(b, err)
	}
	r, err := Open(s.Path(), ReadOptions{})
	require.NoError(b, err)
	defer r.Close()
	first, err := r.Read(nil, nil, nil)
	require.NoError(b, err)
	for b.Loop() {
		now, err := r.Read(first.Live.Values, nil, nil)
		if err != nil || len(now.Live.Changes) > 0 {
			b.Fatal("nothing has changed", err)
		}
	}
}
