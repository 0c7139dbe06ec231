package mpm

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// stepped is a writer that stops after every store until it is told to go on.
type stepped struct {
	arrived, proceed chan struct{}
	ended            bool
	stores           int // that have happened
}

// start runs op up to its first store.
func start(s *Store, op func()) *stepped {
	w := &stepped{arrived: make(chan struct{}), proceed: make(chan struct{})}
	s.stored = func() {
		w.arrived <- struct{}{}
		<-w.proceed
	}
	go func() {
		op()
		close(w.arrived)
	}()
	w.wait()
	return w
}

func (w *stepped) wait() {
	if _, ok := <-w.arrived; ok {
		w.stores++
	} else {
		w.ended = true
	}
}

// advance lets n more stores happen, or fewer if there are no more.
func (w *stepped) advance(n int) {
	for ; n > 0 && !w.ended; n-- {
		w.proceed <- struct{}{}
		w.wait()
	}
}

// TestWalkBetweenStores has a writer change a block while a reader walks it, with all ways to
// put one part of the stores before one record of the walk, and the rest later. The reader
// finds no damage and all series that stay, with their own values.
func TestWalkBetweenStores(t *testing.T) {
	// A label that looks like the headers of records wherever it is read.
	header := string(le.AppendUint64(le.AppendUint64(nil, recordHead(24, kindSeries)), stateLive<<32))
	for name, op := range map[string]func(s *Store, f *SchemaRef, last *Series){
		"over several free records": func(s *Store, f *SchemaRef, _ *Series) {
			addNow(s, f, "new-"+strings.Repeat(header, 8))
		},
		"over a part of a free record": func(s *Store, f *SchemaRef, _ *Series) { addNow(s, f, "new") },
		"in the place of one": func(s *Store, f *SchemaRef, _ *Series) {
			addNow(s, f, "new-"+strings.Repeat(header, 1))
			addNow(s, f, "more-"+strings.Repeat("x", 40))
		},
		"removal":  func(s *Store, f *SchemaRef, last *Series) { last.remove() },
		"reclaim":  func(s *Store, f *SchemaRef, last *Series) { rest, _ := last.remove(); s.makeFree(rest) },
		"exemplar": func(s *Store, f *SchemaRef, last *Series) { last.SetExemplar(0, metric.MakeLabels("id", "x"), 1, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, warm := range []bool{false, true} {
				stores := 1
				for first := 0; first < stores; first++ {
					for record := range 12 {
						stores = max(stores, walkBetweenStores(t, op, warm, first, record))
					}
				}
				require.Greater(t, stores, 2)
			}
		})
	}
}

// addNow adds a series whose words are 7.
func addNow(s *Store, f *SchemaRef, label string) *Series {
	one, _ := s.AddSeries(f, []string{label}, nil)
	for i := range one.Words() {
		atomic.StoreUint64(&one.Words()[i], 7)
	}
	return one
}

// walkBetweenStores runs first stores of op before that record of the walk, and the rest when
// the reader pauses or is done. It returns how many stores there are.
func walkBetweenStores(t *testing.T, op func(*Store, *SchemaRef, *Series), warm bool, first, record int) (stores int) {
	s := NewHeap(Options{})
	f, err := s.AddSchema(counterSchema("c", "l"))
	require.NoError(t, err)
	r := newReader(s.header, "", frozen{func() [][]byte { return s.blocks }}, nil)
	r.elapsed = func() time.Duration { return 0 }
	reads := follow(t, r)
	all := map[string]*Series{}
	for _, label := range []string{"a", "1" + strings.Repeat("x", 30), "2", "3" + strings.Repeat("x", 60), "b", "4", "last", "c"} {
		all[label] = addNow(s, f, label)
	}
	if warm {
		reads.read()
	}
	for label, one := range all {
		if strings.ContainsAny(label[:1], "1234") {
			rest, _ := one.remove()
			s.makeFree(rest)
		}
	}
	w := start(s, func() { op(s, f, all["last"]) })
	seen := 0
	r.parser.between = func() {
		if seen == record {
			w.advance(first)
		}
		seen++
	}
	r.parser.pause = func(time.Duration) { w.advance(1) }
	check := func() {
		damage, n := r.Damaged()
		require.Zero(t, n, "%d stores before record %d: %v", first, record, damage)
		live := found(r.List(), reads.live)
		for _, label := range []string{"a", "b", "c"} {
			require.Equal(t, []uint64{7, 7}, live[label], "%d stores before record %d: %s", first, record, label)
		}
		for label, words := range live {
			ok := strings.HasPrefix(label, "new") || strings.HasPrefix(label, "more") || label == "last" || all[label] != nil
			require.True(t, ok, "%d stores before record %d: %q", first, record, label)
			require.Contains(t, []uint64{0, 7}, words[0])
		}
	}
	reads.read()
	check()
	for !w.ended {
		w.advance(1)
	}
	r.parser.between = nil
	reads.read()
	check()
	return w.stores
}
