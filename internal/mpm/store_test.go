package mpm

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// backings runs a test on a store of each kind. open returns a new reader of the store.
func backings(t *testing.T, opts Options, test func(t *testing.T, s *Store, open func() *Reader)) {
	backingsNamed(t, "", opts, test)
}

// backingsNamed is backings for one of several cases.
func backingsNamed(t *testing.T, name string, opts Options, test func(t *testing.T, s *Store, open func() *Reader)) {
	if name != "" {
		name += "/"
	}
	t.Run(name+"heap", func(t *testing.T) {
		s := NewHeap(opts)
		test(t, s, func() *Reader { return s.Reader(nil) })
	})
	t.Run(name+"file", func(t *testing.T) {
		s, err := Create(t.TempDir(), opts)
		require.NoError(t, err)
		test(t, s, func() *Reader {
			r, err := Open(s.Path(), ReadOptions{})
			require.NoError(t, err)
			t.Cleanup(func() { r.Close() })
			return r
		})
	})
}

func counterSchema(name string, labels ...string) *metric.Schema {
	return &metric.Schema{Name: name, Help: "Help.", Type: metric.Counter, Labels: labels}
}

func add(s *Series, n uint64) { atomic.AddUint64(&s.Words()[CellCounterInts], n) }

// everyType returns a schema of each type, in the modes with different words.
func everyType() []*metric.Schema {
	return []*metric.Schema{
		{Name: "c", Help: "C.", Type: metric.Counter, Labels: []string{"method", "code"}, Const: metric.MakeLabels("dc", "eu")},
		{Name: "g", Help: "G.", Unit: "seconds", Type: metric.Gauge, Mode: metric.ModeMax},
		{Name: "r", Help: "R.", Type: metric.Gauge, Mode: metric.ModeLiveMostRecent},
		{Name: "h", Help: "H.", Type: metric.Histogram, Bounds: []float64{1, 2.5}, Labels: []string{"ü"}},
		{Name: "s", Help: "S.", Type: metric.Summary},
		{Name: "i", Help: "I.", Type: metric.Info},
		{Name: "e", Help: "E.", Type: metric.StateSet, States: []string{"a", "b"}},
		{Name: "er", Help: "E.", Type: metric.StateSet, Mode: metric.ModeMostRecent, States: []string{"a", ""}},
		{Name: "gh", Help: "G.", Type: metric.GaugeHistogram, Bounds: []float64{-1}},
		{Name: "u", Help: "U."},
	}
}

func TestStoreRoundTrip(t *testing.T) {
	backings(t, Options{Label: "slot-1"}, func(t *testing.T, s *Store, open func() *Reader) {
		schemas := everyType()
		r := open()
		var families []*SchemaRef
		for _, schema := range schemas {
			f, err := s.AddSchema(schema)
			require.NoError(t, err)
			families = append(families, f)
		}
		_, err := s.AddSeries(families[0], []string{"GET", "200"}, nil)
		require.NoError(t, err)
		h, err := s.AddSeries(families[3], []string{"né\x00w"}, nil)
		require.NoError(t, err)
		h.Words()[1] = 7
		g, err := s.AddSeries(families[1], nil, nil)
		require.NoError(t, err)
		_, err = s.AddSeries(families[5], nil, metric.MakeLabels("version", "1"))
		require.NoError(t, err)

		require.NoError(t, r.Refresh())
		require.Equal(t, "slot-1", r.Header().Label)
		require.Len(t, r.Schemas(), len(schemas))
		for i := range schemas {
			require.True(t, schemas[i].Equal(r.Schemas()[i]), "%+v", r.Schemas()[i])
		}
		got := r.Series()
		require.Len(t, got, 4)
		require.Equal(t, metric.MakeLabels("dc", "eu", "method", "GET", "code", "200"), got[0].Labels())
		require.Equal(t, []uint64{0, 7, 0, 0}, got[1].Words())
		require.Equal(t, []uint64{UnsetBits}, got[2].Words())
		require.Empty(t, got[3].Words())
		require.Equal(t, metric.MakeLabels("version", "1"), got[3].Labels())
		atomic.StoreUint64(&g.Words()[0], 5)
		require.EqualValues(t, 5, got[2].Words()[0], "a reader sees updates without a call")
		_, damaged := r.Damaged()
		require.Zero(t, damaged)
	})
}

func TestStoreGrowsAndPointersStay(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c", "n"))
		require.NoError(t, err)
		r := open()
		var all []*Series
		for i := range 20_000 {
			one, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
			require.NoError(t, err)
			add(one, uint64(i))
			all = append(all, one)
			if i%3000 == 0 {
				require.NoError(t, r.Refresh())
				require.Len(t, r.Series(), i+1)
			}
		}
		require.NoError(t, r.Refresh())
		for i, info := range r.Series() {
			require.EqualValues(t, i, info.Words()[CellCounterInts])
			add(all[i], 1)
			require.EqualValues(t, i+1, info.Words()[CellCounterInts])
		}
		require.LessOrEqual(t, r.Bytes()/20_000, int64(96), "bytes of a counter series")
	})
}

func TestHistogramSeriesSize(t *testing.T) {
	s := NewHeap(Options{})
	f, err := s.AddSchema(&metric.Schema{
		Name: "h", Help: "H.", Type: metric.Histogram, Labels: []string{"method", "code"},
		Bounds: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
	})
	require.NoError(t, err)
	const n = 10_000
	for range n {
		_, err := s.AddSeries(f, []string{"GET", "200"}, nil)
		require.NoError(t, err)
	}
	r := s.Reader(nil)
	require.NoError(t, r.Refresh())
	require.LessOrEqual(t, r.Bytes()/n, int64(208), "bytes of a 12-bucket histogram series")
}

// The words of a series without labels share no cache line with anything else. Those of
// series with labels are adjacent.
func TestSeriesWithoutLabelsHaveLinesOfTheirOwn(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		lines := map[uintptr]*metric.Schema{}
		for i := range 3000 { // more than one block
			schema := counterSchema(fmt.Sprint("c", i))
			switch i % 3 {
			case 1:
				schema.Labels = []string{"l"}
			case 2:
				schema.Type, schema.Bounds = metric.Histogram, []float64{1, 2, 3, 4, 5, 6, 7}
			}
			f, err := s.AddSchema(schema)
			require.NoError(t, err)
			one, err := s.AddSeries(f, make([]string, len(schema.Labels)), nil)
			require.NoError(t, err)
			w := one.Words()
			w[len(w)-1] = uint64(i)
			for j := range w {
				line := uintptr(unsafe.Pointer(&w[j])) / 64
				other := lines[line]
				if other != nil && other != schema {
					require.NotEmpty(t, schema.Labels, "%s beside %s", schema.Name, other.Name)
					require.NotEmpty(t, other.Labels, "%s beside %s", schema.Name, other.Name)
				}
				lines[line] = schema
			}
		}
		got := open()
		require.NoError(t, got.Refresh())
		for i, info := range got.Series() {
			w := info.Words()
			require.EqualValues(t, i, w[len(w)-1])
		}
		f := follow(t, open())
		f.read()
		require.Len(t, f.live, 1000*(2+2+9))
	})
}

// TestHandleInPlace: a handle in a struct is released with the struct.
func TestHandleInPlace(t *testing.T) {
	type holder struct {
		_      [100]byte
		handle Series
	}
	backings(t, Options{KeepRemoved: KeepNone, MaxBytes: 3 * BlockSize}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c", "n"))
		require.NoError(t, err)
		h := new(holder)
		require.NoError(t, s.InitSeries(&h.handle, f, []string{"x"}, nil))
		add(&h.handle, 5)
		words := &h.handle.Words()[0]
		h.handle.Remove()
		add(&h.handle, 5)
		runtime.GC()
		runtime.GC()
		s.mu.Lock()
		require.Zero(t, s.queue.len())
		s.mu.Unlock()
		runtime.KeepAlive(h)
		h = nil
		becomesFree(t, s)

		var reused holder
		require.NoError(t, s.InitSeries(&reused.handle, f, []string{"y"}, nil))
		require.Same(t, words, &reused.handle.Words()[0])
		require.Zero(t, reused.handle.Words()[CellCounterInts])
		require.False(t, reused.handle.Lost())

		lost := new(holder)
		for !lost.handle.Lost() {
			lost = new(holder)
			require.NoError(t, s.InitSeries(&lost.handle, f, []string{"z"}, nil))
		}
		add(&lost.handle, 1)
		require.EqualValues(t, 1, lost.handle.Words()[CellCounterInts])
	})
}

// TestZeroSeries: a handle in no store does nothing, and after Remove it cannot be added to a
// store.
func TestZeroSeries(t *testing.T) {
	s := NewHeap(Options{})
	f, err := s.AddSchema(counterSchema("c", "n"))
	require.NoError(t, err)
	var h Series
	require.Nil(t, h.Words())
	require.False(t, h.Lost())
	h.Restart(time.Now(), func([]uint64) { t.Error("there are no words") })
	h.SetExemplar(0, metric.Labels{{Name: "trace_id", Value: "1"}}, 1, 1)
	require.ErrorIs(t, s.InitSeries(&h, f, []string{strings.Repeat("x", maxRecord)}, nil), ErrRecordTooLarge)
	require.NoError(t, s.InitSeries(&h, f, []string{"x"}, nil), "it stays a zero Series")
	var gone Series
	gone.Remove()
	require.ErrorIs(t, s.InitSeries(&gone, f, []string{"y"}, nil), ErrClosed)
	gone.Remove()
	require.Nil(t, gone.Words())
	r := s.Reader(nil)
	require.NoError(t, r.Refresh())
	require.Len(t, r.Series(), 1)
	require.Zero(t, r.Generation())
}

func TestBoundsOfRecords(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		labels := make([]string, form.MaxLabels)
		values := make([]string, len(labels))
		for i := range labels {
			labels[i] = "l" + strconv.Itoa(i)
			values[i] = strings.Repeat("v", form.MaxLabelValueLen)
		}
		f, err := s.AddSchema(counterSchema("c", labels...))
		require.NoError(t, err)
		_, err = s.AddSeries(f, values, nil)
		require.ErrorIs(t, err, ErrRecordTooLarge)

		bounds := make([]float64, form.MaxBounds)
		for i := range bounds {
			bounds[i] = float64(i)
		}
		h, err := s.AddSchema(&metric.Schema{Name: "h", Help: "H.", Type: metric.Histogram, Bounds: bounds})
		require.NoError(t, err)
		for range 20 {
			_, err = s.AddSeries(h, nil, nil)
			require.NoError(t, err)
		}
		states := make([]string, form.MaxStates)
		for i := range states {
			states[i] = strings.Repeat("s", form.MaxNameLen-3) + strconv.Itoa(i)
		}
		_, err = s.AddSchema(&metric.Schema{Name: "e", Help: "E.", Type: metric.StateSet, States: states})
		require.ErrorIs(t, err, ErrRecordTooLarge)
		r := open()
		require.NoError(t, r.Refresh())
		require.Len(t, r.Series(), 20)
		require.Len(t, r.Schemas(), 2)
	})
}

func TestFullStoreFallsBackToTheHeap(t *testing.T) {
	backings(t, Options{MaxBytes: 3 * BlockSize}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c", "n"))
		require.NoError(t, err)
		lost := 0
		for i := range 10_000 {
			one, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
			require.NoError(t, err)
			add(one, 1)
			if one.Lost() {
				lost++
				one.Remove()
			}
		}
		require.NotZero(t, lost)
		r := open()
		require.NoError(t, r.Refresh())
		require.Len(t, r.Series(), 10_000-lost)
		require.EqualValues(t, lost, r.Count(FallbackSeries))
	})
}

func TestCloseAndCounters(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c"))
		require.NoError(t, err)
		one, err := s.AddSeries(f, nil, nil)
		require.NoError(t, err)
		s.Count(InvalidUpdates, 3)
		r := open()
		require.NoError(t, r.Refresh())
		require.False(t, r.Closed())
		require.EqualValues(t, 3, r.Count(InvalidUpdates))
		require.NoError(t, s.Close())
		require.ErrorIs(t, s.Close(), ErrClosed)
		require.True(t, r.Closed())
		add(one, 1) // handles stay valid
		_, err = s.AddSeries(f, nil, nil)
		require.ErrorIs(t, err, ErrClosed)
		_, err = s.AddSchema(counterSchema("d"))
		require.ErrorIs(t, err, ErrClosed)
		held, err := r.Locked()
		require.NoError(t, err)
		require.True(t, held, "the lock stays until the process ends")
	})
}

func TestRestart(t *testing.T) {
	now := time.Unix(100, 0)
	backings(t, Options{Now: func() time.Time { return now }}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c"))
		require.NoError(t, err)
		one, err := s.AddSeries(f, nil, nil)
		require.NoError(t, err)
		add(one, 9)
		r := open()
		require.NoError(t, r.Refresh())
		require.True(t, r.Series()[0].Created().Equal(now))
		one.Restart(now.Add(time.Minute), func(w []uint64) { atomic.StoreUint64(&w[0], 0) })
		require.NoError(t, r.Refresh())
		require.True(t, r.Series()[0].Created().Equal(now.Add(time.Minute)))
		require.Zero(t, r.Series()[0].Words()[0])
	})
}

func TestRecentPair(t *testing.T) {
	w := make([]uint64, recentWords)
	_, nanos, ok := LoadRecent(w)
	require.True(t, ok)
	require.Zero(t, nanos)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := uint64(1); ; i++ {
			select {
			case <-stop:
				return
			default:
				StoreRecent(w, i, int64(i))
			}
		}
	})
	for range 100_000 {
		if bits, nanos, ok := LoadRecent(w); ok {
			require.EqualValues(t, bits, nanos, "value and time belong together")
		}
	}
	close(stop)
	wg.Wait()
}
