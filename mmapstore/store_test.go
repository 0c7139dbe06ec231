package mmapstore

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// backings runs a test on a store of each kind. open returns a new reader of
// what the store has written.
func backings(t *testing.T, opts Options, test func(t *testing.T, s *Store, open func() *Reader)) {
	t.Run("heap", func(t *testing.T) {
		s := NewHeap(opts)
		test(t, s, s.Reader)
	})
	t.Run("file", func(t *testing.T) {
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

func TestStoreRoundTrip(t *testing.T) {
	backings(t, Options{Label: "slot-1"}, func(t *testing.T, s *Store, open func() *Reader) {
		schemas := []*metric.Schema{
			{Name: "c", Help: "C.", Type: metric.Counter, Labels: []string{"method", "code"}, Const: metric.MakeLabels("dc", "eu")},
			{Name: "g", Help: "G.", Unit: "seconds", Type: metric.Gauge, Mode: metric.ModeMax},
			{Name: "r", Help: "R.", Type: metric.Gauge, Mode: metric.ModeLiveMostRecent},
			{Name: "h", Help: "H.", Type: metric.Histogram, Bounds: []float64{1, 2.5}, Labels: []string{"ü"}},
			{Name: "s", Help: "S.", Type: metric.Summary},
			{Name: "i", Help: "I.", Type: metric.Info},
			{Name: "e", Help: "E.", Type: metric.StateSet, States: []string{"a", "b"}},
		}
		r := open()
		var families []*Family
		for _, schema := range schemas {
			f, err := s.AddFamily(schema)
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
		require.Len(t, r.Families(), len(schemas))
		for i := range schemas {
			require.True(t, schemas[i].Equal(r.Families()[i]), "%+v", r.Families()[i])
		}
		got := r.Series()
		require.Len(t, got, 4)
		require.Equal(t, metric.MakeLabels("dc", "eu", "method", "GET", "code", "200"), got[0].Labels())
		require.Equal(t, []uint64{0, 7, 0, 0}, got[1].Words)
		require.Equal(t, []uint64{UnsetBits}, got[2].Words)
		require.Empty(t, got[3].Words)
		require.Equal(t, metric.MakeLabels("version", "1"), got[3].Labels())
		atomic.StoreUint64(&g.Words()[0], 5)
		require.EqualValues(t, 5, got[2].Words[0], "a reader sees updates without a call")
		_, damaged := r.Damaged()
		require.Zero(t, damaged)
	})
}
