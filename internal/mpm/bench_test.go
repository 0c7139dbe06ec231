package mpm

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

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

// BenchmarkReadBesideChurn is a Read of 100,000 series after some were removed and as many
// were added.
func BenchmarkReadBesideChurn(b *testing.B) {
	for _, churn := range []int{0, 1, 50, 500, 5000} {
		b.Run(strconv.Itoa(churn), func(b *testing.B) {
			now := time.Duration(0)
			s, err := Create(b.TempDir(), Options{KeepRemoved: time.Minute, Elapsed: func() time.Duration { return now }})
			require.NoError(b, err)
			f, err := s.AddSchema(counterSchema("c", "n"))
			require.NoError(b, err)
			var all []*Series
			next := 0
			add := func() *Series {
				next++
				one, err := s.AddSeries(f, []string{"tenant-" + strconv.Itoa(next)}, nil)
				require.NoError(b, err)
				return one
			}
			for range 100_000 {
				all = append(all, add())
			}
			r, err := Open(s.Path(), ReadOptions{})
			require.NoError(b, err)
			defer r.Close()
			var live, removed []uint64
			read := func() {
				reading, err := r.Read(live, removed, nil)
				require.NoError(b, err)
				list, gone := r.List(), r.RemovedList()
				live, removed = reading.Live.Apply(live, &list), reading.Removed.Apply(removed, &gone)
			}
			read()
			random := rand.New(rand.NewPCG(1, 1))
			for b.Loop() {
				b.StopTimer()
				for range churn {
					i := random.IntN(len(all))
					rest, _ := all[i].remove()
					s.release(rest)
					all[i] = add()
				}
				now += 6 * time.Second
				b.StartTimer()
				read()
			}
		})
	}
}
