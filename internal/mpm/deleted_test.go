package mpm

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDeleted: a store notices when it grows that its file is gone, but checks at most once a
// minute.
func TestDeleted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows does not delete a file that is open")
	}
	grow := map[string]func(s *Store, f *SchemaRef) error{
		"family": func(s *Store, _ *SchemaRef) error { _, err := s.AddSchema(counterSchema("other")); return err },
		"series": func(s *Store, f *SchemaRef) error { _, err := s.AddSeries(f, nil, nil); return err },
		"ask":    func(s *Store, _ *SchemaRef) error { s.CheckLink(); return nil },
	}
	for name, more := range grow {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			s, err := Create(t.TempDir(), Options{Now: func() time.Time { return now }})
			require.NoError(t, err)
			f, err := s.AddSchema(counterSchema("c"))
			require.NoError(t, err)

			now = now.Add(linkPeriod)
			require.NoError(t, more(s, f))
			require.NoError(t, s.Deleted(), "it is there")

			require.NoError(t, os.Remove(s.Path()))
			now = now.Add(linkPeriod - 1)
			require.NoError(t, more(s, f))
			require.NoError(t, s.Deleted(), "not asked yet")
			now = now.Add(1)
			require.NoError(t, more(s, f))
			require.ErrorIs(t, s.Deleted(), ErrDeleted)
			require.ErrorContains(t, s.Deleted(), s.Path())
			require.NoError(t, more(s, f), "it goes on")
		})
	}
}

// TestDeletedIsOfOpenStores: a store on the heap has no file to delete, and the file of a
// closed store may be removed.
func TestDeletedIsOfOpenStores(t *testing.T) {
	now := time.Now()
	opts := Options{Now: func() time.Time { return now }}
	heap := NewHeap(opts)
	s, err := Create(t.TempDir(), opts)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	if runtime.GOOS != "windows" {
		require.NoError(t, os.Remove(s.Path()))
	}
	now = now.Add(linkPeriod)
	require.NoError(t, heap.CheckLink())
	require.NoError(t, s.CheckLink())
}
