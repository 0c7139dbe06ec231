package mpm

import (
	"errors"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// becomesFree waits until the collector has found that nothing holds the one removed series of
// s any more.
func becomesFree(t *testing.T, s *Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		runtime.GC()
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.queue.len() == 1
	}, 10*time.Second, time.Millisecond)
}

// TestRemoveAndReuse follows design.md section 3.7: a removed series leaves the readers' view
// at once. Its words are reused only if no handle is left.
func TestRemoveAndReuse(t *testing.T) {
	backings(t, Options{KeepRemoved: KeepNone}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c", "n"))
		require.NoError(t, err)
		gone, err := s.AddSeries(f, []string{"gone-long-name"}, nil)
		require.NoError(t, err)
		kept, err := s.AddSeries(f, []string{"kept"}, nil)
		require.NoError(t, err)
		add(gone, 5)
		add(kept, 7)
		r := open()
		require.NoError(t, r.Refresh())
		require.Len(t, r.Series(), 2)
		requireValid(t, r, true)

		gone.Remove()
		gone.Remove()
		requireValid(t, r, false)
		require.NoError(t, r.Refresh())
		require.Equal(t, []string{"kept"}, r.Series()[0].Values())
		require.Len(t, r.Series(), 1)
		require.Len(t, r.Removed(), 1)
		require.Equal(t, []string{"gone-long-name"}, r.Removed()[0].Values())
		require.EqualValues(t, 5, r.Removed()[0].Words()[CellCounterInts])

		other, err := s.AddSeries(f, []string{"new"}, nil)
		require.NoError(t, err)
		add(gone, 100)
		require.Zero(t, other.Words()[CellCounterInts], "a stale handle's updates go nowhere")
		words := &gone.Words()[0]
		runtime.KeepAlive(gone)
		gone = nil
		becomesFree(t, s)

		reused, err := s.AddSeries(f, []string{"reused"}, nil)
		require.NoError(t, err)
		require.Same(t, words, &reused.Words()[0])
		require.Zero(t, reused.Words()[CellCounterInts])
		require.NoError(t, r.Refresh())
		require.Len(t, r.Series(), 3)
		require.Empty(t, r.Removed())
		_, damaged := r.Damaged()
		require.Zero(t, damaged)
	})
}

// TestRemovedRecordsAreKeptForAWhile: other processes need time to remove the series too.
func TestRemovedRecordsAreKeptForAWhile(t *testing.T) {
	now := time.Duration(0)
	s := NewHeap(Options{Elapsed: func() time.Duration { return now }})
	f, err := s.AddSchema(counterSchema("c", "n"))
	require.NoError(t, err)
	gone, err := s.AddSeries(f, []string{"gone"}, nil)
	require.NoError(t, err)
	words := &gone.Words()[0]
	gone.Remove()
	gone = nil
	becomesFree(t, s)
	for _, step := range []struct {
		after time.Duration
		same  bool
	}{{time.Minute, false}, {2 * time.Minute, true}, {time.Hour, false}} {
		now += step.after
		one, err := s.AddSeries(f, []string{"new"}, nil)
		require.NoError(t, err)
		require.Equal(t, step.same, words == &one.Words()[0], step.after)
	}
}

// TestChurnIsBounded creates and removes series while a reader follows.
func TestChurnIsBounded(t *testing.T) {
	backings(t, Options{KeepRemoved: KeepNone}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c", "n"))
		require.NoError(t, err)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			r := open()
			var live, removed []uint64
			for {
				select {
				case <-stop:
					return
				default:
				}
				now, err := r.Read(live, removed, nil)
				if errors.Is(err, ErrStale) {
					continue // without a lease, nothing must change meanwhile
				}
				if err != nil {
					t.Error(err)
					return
				}
				list, gone := r.List(), r.RemovedList()
				live, removed = now.Live.Apply(live, &list), now.Removed.Apply(removed, &gone)
				for i := range list.Len() {
					one := list.At(i)
					if v := live[list.Position(i)]; v != 0 && strconv.FormatUint(v, 10) != one.Values()[0] {
						t.Errorf("series %q has the value %d", one.Values()[0], v)
					}
				}
				if damage, damaged := r.Damaged(); damaged > 0 {
					t.Error("damage was seen", damage)
					return
				}
			}
		})
		for i := range 20_000 {
			one, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
			require.NoError(t, err)
			add(one, uint64(i))
			one.Remove()
			if i%1000 == 0 {
				runtime.GC()
			}
		}
		close(stop)
		wg.Wait()
		r := open()
		require.NoError(t, r.Refresh())
		require.Empty(t, r.Series())
		require.Less(t, r.Bytes(), int64(20_000*48), "freed records are used again")
	})
}

// TestSpace: a reader says what becomes of the bytes of a series.
func TestSpace(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c", "n"))
		require.NoError(t, err)
		one, err := s.AddSeries(f, []string{"one"}, nil)
		require.NoError(t, err)
		_, err = s.AddSeries(f, []string{"two"}, nil)
		require.NoError(t, err)
		one.SetExemplar(0, metric.MakeLabels("id", "x"), 1, 1)
		r := open()
		space := func() Space {
			require.NoError(t, r.Refresh())
			return r.Space()
		}
		require.Equal(t, Space{}, space())
		rest, ok := one.remove()
		require.True(t, ok)
		require.Equal(t, Space{Removed: 56 + 16}, space())
		exemplar := int64(one.cellsOf(0).size())
		s.makeFree(rest)
		require.Equal(t, Space{Free: 56 + 16 + exemplar}, space())
		_, err = s.AddSeries(f, []string{"a little longer"}, nil)
		require.NoError(t, err)
		require.Equal(t, Space{Free: 56 + exemplar - 72}, space(), "its words are in the old ones' place, its record in the exemplar's")
	})
}
