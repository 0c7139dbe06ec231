package mpm

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// becomesFree waits until the collector has found that nothing holds the one removed series of
// f any more.
func becomesFree(t *testing.T, s *Store, f *SchemaRef) {
	t.Helper()
	require.Eventually(t, func() bool {
		runtime.GC()
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(f.free) == 1
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
		require.True(t, r.Unchanged())

		gone.Remove()
		gone.Remove()
		require.False(t, r.Unchanged())
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
		becomesFree(t, s, f)

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
	now := time.Unix(1000, 0)
	s := NewHeap(Options{Now: func() time.Time { return now }})
	f, err := s.AddSchema(counterSchema("c", "n"))
	require.NoError(t, err)
	gone, err := s.AddSeries(f, []string{"gone"}, nil)
	require.NoError(t, err)
	words := &gone.Words()[0]
	gone.Remove()
	gone = nil
	require.Eventually(t, func() bool {
		runtime.GC()
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(f.free) == 1
	}, 10*time.Second, time.Millisecond)
	for _, step := range []struct {
		after time.Duration
		same  bool
	}{{time.Minute, false}, {2 * time.Minute, true}, {time.Hour, false}} {
		now = now.Add(step.after)
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
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := r.Refresh(); err != nil {
					t.Error(err)
				}
				values := 0
				for _, one := range r.Series() {
					if v := atomic.LoadUint64(&one.Words()[0]); v != 0 && strconv.FormatUint(v, 10) != one.Values()[0] && r.Unchanged() {
						t.Errorf("series %q has the value %d", one.Values()[0], v)
					}
					values++
				}
				if _, damaged := r.Damaged(); damaged > 0 && r.Unchanged() {
					t.Error("damage was seen")
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
