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

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// exemplarsOf returns the exemplars that a reader sees, by series and bucket.
func exemplarsOf(t *testing.T, r *Reader) map[string]string {
	t.Helper()
	require.NoError(t, r.Refresh())
	_, damaged := r.Damaged()
	require.Zero(t, damaged)
	out, times := map[string]string{}, map[string]time.Time{}
	for _, e := range r.Exemplars() {
		x, number := e.Load()
		require.Equal(t, number, e.Number())
		list := r.List()
		s := list.At(e.Series)
		key := fmt.Sprint(s.Schema.Name, s.Labels(), " ", e.Bucket)
		if x == nil || x.Timestamp.Before(times[key]) {
			continue
		}
		times[key] = x.Timestamp
		out[key] = fmt.Sprintf("%v %v %d", x.Labels, x.Value, x.Timestamp.UnixNano())
	}
	return out
}

func addSeries(t *testing.T, s *Store, schema *metric.Schema, values ...string) *Series {
	t.Helper()
	f, err := s.AddSchema(schema)
	require.NoError(t, err)
	one, err := s.AddSeries(f, values, nil)
	require.NoError(t, err)
	return one
}

func TestExemplars(t *testing.T) {
	long := metric.MakeLabels("ü", strings.Repeat("𝄞", openmetrics.MaxExemplarRunes-1))
	require.NoError(t, openmetrics.CheckExemplar(long))
	var many metric.Labels
	for i := range openmetrics.MaxExemplarRunes { // each a name of one 4-byte character
		many = append(many, metric.Label{Name: string(rune(0x1F300 + i))})
	}
	require.NoError(t, openmetrics.CheckExemplar(many))
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		c := addSeries(t, s, counterSchema("c", "l"), "x")
		h := addSeries(t, s, &metric.Schema{Name: "h", Help: "H.", Type: metric.Histogram, Bounds: []float64{1, 2}})
		g := addSeries(t, s, &metric.Schema{Name: "s", Help: "S.", Type: metric.Summary})
		r := open()
		require.Empty(t, exemplarsOf(t, r))
		c.SetExemplar(0, metric.MakeLabels("trace_id", "a"), 1, 100)
		h.SetExemplar(2, metric.MakeLabels("trace_id", "b", "span_id", ""), 2.5, 101)
		g.SetExemplar(0, metric.MakeLabels("trace_id", "b"), 2.5, 101)
		require.Equal(t, map[string]string{
			`c{l="x"} 0`: `{trace_id="a"} 1 100`, `h 2`: `{span_id="",trace_id="b"} 2.5 101`,
		}, exemplarsOf(t, r))
		for n, labels := range []metric.Labels{metric.MakeLabels("a", "b"), long, metric.MakeLabels("c", "d"), many} {
			c.SetExemplar(0, labels, float64(n), int64(200+n))
			want := fmt.Sprintf("%v %d %d", labels, n, 200+n)
			require.Equal(t, want, exemplarsOf(t, r)[`c{l="x"} 0`])
			require.Equal(t, want, exemplarsOf(t, open())[`c{l="x"} 0`])
		}

		c.Restart(time.Now(), func([]uint64) {})
		require.NotContains(t, exemplarsOf(t, r), `c{l="x"} 0`)
		c.SetExemplar(0, metric.MakeLabels("a", "b"), 1, 300)
		require.Equal(t, `{a="b"} 1 300`, exemplarsOf(t, r)[`c{l="x"} 0`])
	})
}

// TestExemplarsOfAClockSetBack: the last exemplar counts, even if it needs a larger half than
// earlier ones with later times.
func TestExemplarsOfAClockSetBack(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		c := addSeries(t, s, counterSchema("c"))
		r := open()
		for i, value := range []string{"a", "b", strings.Repeat("c", 70), "d"} {
			labels := metric.MakeLabels("id", value)
			c.SetExemplar(0, labels, 1, int64(100-i))
			require.Equal(t, fmt.Sprintf("%v 1 %d", labels, 100-i), exemplarsOf(t, r)[fmt.Sprint("c", metric.Labels(nil), " ", 0)])
		}
	})
}

// TestExemplarsOfRemovedSeries: a series that replaces a removed one has none of its
// exemplars.
func TestExemplarsOfRemovedSeries(t *testing.T) {
	now := time.Duration(0)
	backings(t, Options{Elapsed: func() time.Duration { return now }}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c", "l"))
		require.NoError(t, err)
		old, err := s.AddSeries(f, []string{"old"}, nil)
		require.NoError(t, err)
		for _, n := range []int{1, 100} { // one record each
			old.SetExemplar(0, metric.MakeLabels("id", strings.Repeat("x", n)), 1, int64(n))
		}
		r := open()
		require.Len(t, exemplarsOf(t, r), 1)
		old.Remove()
		old.SetExemplar(0, metric.MakeLabels("id", "late"), 1, 300)
		require.Empty(t, exemplarsOf(t, r))
		late, err := s.AddSeries(f, []string{"late"}, nil)
		require.NoError(t, err)
		late.Remove()
		late.SetExemplar(0, metric.MakeLabels("id", "late"), 1, 300)
		require.Nil(t, late.attached.Load(), "a removed series gets no place for exemplars")

		offset := old.at.record
		old = nil
		now += time.Hour
		var reused *Series
		require.Eventually(t, func() bool {
			runtime.GC()
			one, err := s.AddSeries(f, []string{"new"}, nil)
			require.NoError(t, err)
			if one.at.record == offset {
				reused = one
			}
			return reused != nil
		}, time.Minute, time.Millisecond)
		require.Empty(t, exemplarsOf(t, r))
		blocks := s.meta.used
		reused.SetExemplar(0, metric.MakeLabels("id", "new"), 1, 400)
		require.Equal(t, `{id="new"} 1 400`, exemplarsOf(t, r)[`c{l="new"} 0`])
		require.Equal(t, blocks, s.meta.used, "the old one's place is used")
	})
}

// TestExemplarsUnderLoad: an exemplar is never a mix of two.
func TestExemplarsUnderLoad(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		c := addSeries(t, s, counterSchema("c"))
		var stop atomic.Bool
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for n := w; !stop.Load(); n += 4 {
					id := strings.Repeat(strconv.Itoa(n%10), 1+n%120)
					c.SetExemplar(0, metric.Labels{{Name: "id", Value: id}}, float64(n), int64(n+1))
				}
			})
		}
		r := open()
		seen := map[uint64]bool{}
		require.Eventually(t, func() bool {
			require.NoError(t, r.Refresh())
			for _, e := range r.Exemplars() {
				x, number := e.Load()
				if x == nil {
					continue
				}
				n := int(x.Value)
				require.Equal(t, metric.Labels{{Name: "id", Value: strings.Repeat(strconv.Itoa(n%10), 1+n%120)}}, x.Labels)
				require.EqualValues(t, n+1, x.Timestamp.UnixNano())
				seen[number] = true
			}
			return len(seen) > 1000
		}, time.Minute, time.Microsecond)
		stop.Store(true)
		writers.Wait()
	})
}

// TestExemplarOfAWriterThatDied: the exemplar before the one that it was writing stays, and
// no reader waits for the writer.
func TestExemplarOfAWriterThatDied(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		c := addSeries(t, s, counterSchema("c"))
		c.SetExemplar(0, metric.MakeLabels("id", "whole"), 1, 1)
		cells := c.cellsOf(0)
		atomic.AddUint64(&cells.words[0], 1)
		half := cells.half((cells.words[0]>>1 + 1) & 1)
		for i := range half {
			atomic.StoreUint64(&half[i], ^uint64(0))
		}
		want := map[string]string{"c 0": `{id="whole"} 1 1`}
		require.Equal(t, want, exemplarsOf(t, open()))
		c.SetExemplar(0, metric.MakeLabels("id", "another"), 2, 2)
		require.Equal(t, want, exemplarsOf(t, open()), "a writer that finds another at work goes on")
	})
}

// TestHostileExemplars: only whole exemplars are shown.
func TestHostileExemplars(t *testing.T) {
	s := NewHeap(Options{})
	c := addSeries(t, s, counterSchema("c"))
	c.SetExemplar(0, metric.MakeLabels("id", "x"), 1, 1)
	cells := c.cellsOf(0)
	for _, test := range []struct {
		name   string
		length uint64
		text   string
	}{
		{"no labels", 0, ""},
		{"after its half", 65, ""},
		{"far after its half", 1 << 63, ""},
		{"cut", 3, "\x01\x00a"},
		{"no name", 6, "\x00\x00\x02\x00bc"},
		{"twice", 12, "\x01\x00a\x01\x00b\x01\x00a\x01\x00b"},
		{"no UTF-8", 6, "\x01\x00a\x01\x00\xff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := append([]byte(test.text), make([]byte, 64)...)
			cells.store(1, 1, text[:align8(len(test.text))], int(test.length))
			r := s.Reader(nil)
			require.Empty(t, exemplarsOf(t, r))
			require.Len(t, r.Exemplars(), 1)
		})
	}
}

func TestDamagedExemplarRecords(t *testing.T) {
	for name, damage := range map[string]func(rec []byte){
		"checksum": func(rec []byte) { rec[offExeSeries]++ },
		"bucket": func(rec []byte) {
			le.PutUint32(rec[offExeBucket:], 1)
			le.PutUint32(rec[offRecCRC:], recordCRC(rec))
		},
		"length": func(rec []byte) {
			le.PutUint32(rec[offRecLen:], offExeHalves+40)
			le.PutUint32(rec[offRecCRC:], recordCRC(rec))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewHeap(Options{})
			c := addSeries(t, s, counterSchema("c"))
			used := s.meta.used
			c.SetExemplar(0, metric.MakeLabels("id", "x"), 1, 1)
			damage(s.first[used:s.meta.used])
			r := s.Reader(nil)
			require.NoError(t, r.Refresh())
			_, damaged := r.Damaged()
			require.NotZero(t, damaged)
			require.Empty(t, r.Exemplars())
			require.Len(t, r.Series(), 1)
		})
	}
}

func TestSetExemplarDoesNotAllocate(t *testing.T) {
	s := NewHeap(Options{})
	c := addSeries(t, s, counterSchema("c"))
	labels := metric.MakeLabels("trace_id", "0123456789abcdef0123456789abcdef")
	require.Zero(t, testing.AllocsPerRun(100, func() { c.SetExemplar(0, labels, 1, 1) }))
}

func BenchmarkSetExemplar(b *testing.B) {
	s, err := Create(b.TempDir(), Options{})
	require.NoError(b, err)
	f, err := s.AddSchema(counterSchema("c"))
	require.NoError(b, err)
	c, err := s.AddSeries(f, nil, nil)
	require.NoError(b, err)
	labels := metric.MakeLabels("trace_id", "0123456789abcdef0123456789abcdef")
	for b.Loop() {
		c.SetExemplar(0, labels, 1, 1)
	}
}
