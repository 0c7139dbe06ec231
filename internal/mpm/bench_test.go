package mpm

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkAddSeries is the price of a label set's first use in the store.
func BenchmarkAddSeries(b *testing.B) {
	s, err := Create(b.TempDir(), Options{})
	require.NoError(b, err)
	f, err := s.AddSchema(counterSchema("c", "method", "code"))
	require.NoError(b, err)
	values := make([]string, 2)
	values[0] = "GET"
	b.ReportAllocs()
	for i := range b.N {
		values[1] = strconv.Itoa(i)
		if _, err := s.AddSeries(f, values, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpdate is an atomic add on a mapped word: the floor of Counter.Inc.
func BenchmarkUpdate(b *testing.B) {
	s, err := Create(b.TempDir(), Options{})
	require.NoError(b, err)
	f, err := s.AddSchema(counterSchema("c"))
	require.NoError(b, err)
	one, err := s.AddSeries(f, nil, nil)
	require.NoError(b, err)
	word := &one.Words()[CellCounterInts]
	for b.Loop() {
		atomic.AddUint64(word, 1)
	}
}

// BenchmarkOpen opens and reads a file of 5000 series, and reads it again when nothing has
// changed.
func BenchmarkOpen(b *testing.B) {
	s, err := Create(b.TempDir(), Options{})
	require.NoError(b, err)
	f, err := s.AddSchema(counterSchema("c", "n"))
	require.NoError(b, err)
	for i := range 5000 {
		_, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
		require.NoError(b, err)
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			r, err := Open(s.Path(), ReadOptions{})
			require.NoError(b, err)
			require.NoError(b, r.Refresh())
			require.NoError(b, r.Close())
		}
	})
	b.Run("warm", func(b *testing.B) {
		r, err := Open(s.Path(), ReadOptions{})
		require.NoError(b, err)
		for b.Loop() {
			require.NoError(b, r.Refresh())
		}
	})
}
