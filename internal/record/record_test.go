package record

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// writer is a process of a test.
type writer struct {
	t *testing.T
	*mpm.Store
}

func newWriter(t *testing.T, dir, label string) *writer {
	t.Helper()
	s, err := mpm.Create(dir, mpm.Options{Label: label, KeepRemoved: time.Millisecond})
	require.NoError(t, err)
	return &writer{t, s}
}

func (w *writer) add(schema *metric.Schema, values ...string) *mpm.Series {
	w.t.Helper()
	f, err := w.AddSchema(schema)
	require.NoError(w.t, err)
	s, err := w.AddSeries(f, values, nil)
	require.NoError(w.t, err)
	return s
}

func openView(t *testing.T, dir string) *aggregate.Aggregator {
	t.Helper()
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

// flat returns all samples of families.
func flat(families []*metric.Family) map[string]float64 {
	out := map[string]float64{}
	for _, f := range families {
		for s := range f.Samples() {
			out[s.Name+s.Labels.String()] = s.Value
		}
	}
	return out
}

// clock moves a second at each tick.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// TestRecordingEqualsTheView: random changes, new and removed series, new families and
// processes, with rotations, restarts and ticks that fail. What is read is what the view was at
// each second.
func TestRecordingEqualsTheView(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			base := t.TempDir()
			dir := filepath.Join(base, "d")
			require.NoError(t, os.Mkdir(dir, 0o700))
			a := openView(t, dir)
			c := &clock{time.UnixMilli(1_000_000)}
			open := func() *Recorder {
				rec, err := Open(DirOf(dir), a, Options{Keep: 40 * time.Second, Now: c.Now})
				require.NoError(t, err)
				return rec
			}
			rec := open()
			defer func() { rec.Close() }()
			writers := []*writer{newWriter(t, dir, "w0")}
			var series []*mpm.Series
			var kinds []metric.Type
			want := map[int64]map[string]float64{}
			for tick := range 130 {
				for range r.IntN(6) {
					w := writers[r.IntN(len(writers))]
					n := r.IntN(4)
					name := fmt.Sprint("f", n)
					schema := []*metric.Schema{
						{Name: name, Help: "H.", Type: metric.Counter, Labels: []string{"l"}},
						{Name: name, Help: "H.", Type: metric.Gauge, Mode: metric.ModeAll, Labels: []string{"l"}},
						{Name: name, Help: "H.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: []float64{1, float64(2 + r.IntN(2))}},
						{Name: name, Help: "H.", Type: metric.Summary, Labels: []string{"l"}},
					}[n]
					f, err := w.AddSchema(schema)
					require.NoError(t, err)
					s, err := w.AddSeries(f, []string{fmt.Sprint(tick, r.Uint64())}, nil)
					require.NoError(t, err)
					series, kinds = append(series, s), append(kinds, schema.Type)
				}
				for i, s := range series {
					words := s.Words()
					if r.IntN(3) > 0 || len(words) == 0 {
						continue
					}
					switch kinds[i] {
					case metric.Counter:
						words[mpm.CellCounterInts] += r.Uint64N(1000)
						words[mpm.CellCounterFloat] = math.Float64bits(r.Float64())
					case metric.Gauge:
						words[mpm.CellGauge] = math.Float64bits([]float64{r.NormFloat64(), math.Inf(1), 0, math.Copysign(0, -1), 1e300, -5}[r.IntN(6)])
					case metric.Histogram:
						words[mpm.CellHistogramBuckets+r.IntN(3)] += r.Uint64N(9)
						words[mpm.CellHistogramSum] = math.Float64bits(r.Float64() * 100)
					case metric.Summary:
						words[mpm.CellSummaryCount]++
					}
				}
				if len(series) > 0 && r.IntN(4) == 0 {
					i := r.IntN(len(series))
					series[i].Remove()
					series, kinds = append(series[:i], series[i+1:]...), append(kinds[:i], kinds[i+1:]...)
				}
				if r.IntN(20) == 0 {
					writers = append(writers, newWriter(t, dir, fmt.Sprint("w", len(writers))))
				}
				if r.IntN(15) == 0 {
					require.NoError(t, rec.Close())
					rec = open()
				}
				c.now = c.now.Add(time.Second)
				require.NoError(t, rec.Tick(t.Context()))
				families, err := a.Gather(t.Context())
				require.NoError(t, err)
				want[c.now.UnixMilli()] = flat(families)
			}
			seen := 0
			var last time.Time
			require.NoError(t, Read(DirOf(dir), func(s *State) bool {
				require.True(t, s.Time.After(last))
				last = s.Time
				require.Equal(t, fmt.Sprint(want[s.Time.UnixMilli()]), fmt.Sprint(flat(s.Families())), "%v", s.Time)
				seen++
				return true
			}))
			require.Equal(t, c.now.UnixMilli(), last.UnixMilli(), "the last second is there")
			require.GreaterOrEqual(t, seen, 40)
			require.LessOrEqual(t, seen, 82)
			entries, err := os.ReadDir(DirOf(dir))
			require.NoError(t, err)
			require.Len(t, entries, 4, "two files, the tail and the lock")
		})
	}
}

// TestProcesses: what each process has counted, and the last values of one that has died.
func TestProcesses(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openView(t, dir)
	c := &clock{time.UnixMilli(1_000_000)}
	rec, err := Open(filepath.Join(elsewhere, "r"), a, Options{Now: c.Now})
	require.NoError(t, err)
	defer rec.Close()
	one, two := newWriter(t, dir, "one"), newWriter(t, dir, "two")
	schema := &metric.Schema{Name: "jobs", Help: "H.", Type: metric.Counter, Labels: []string{"queue"}}
	first, second := one.add(schema, "mail"), two.add(schema, "mail")
	var totals []string
	for range 3 {
		atomic.AddUint64(&first.Words()[mpm.CellCounterInts], 1)
		atomic.AddUint64(&second.Words()[mpm.CellCounterInts], 10)
		c.now = c.now.Add(time.Second)
		require.NoError(t, rec.Tick(t.Context()))
	}
	require.NoError(t, two.Close())
	c.now = c.now.Add(time.Second)
	require.NoError(t, rec.Tick(t.Context()))
	var deaths []Death
	require.NoError(t, Read(filepath.Join(elsewhere, "r"), func(s *State) bool {
		for _, one := range s.Series() {
			if one.Family.Process {
				id, _ := one.Labels.Get("process")
				totals = append(totals, fmt.Sprint(one.Family.Name, " ", id, " ", one.Counted()))
			}
		}
		deaths = append(deaths, s.Deaths...)
		return true
	}))
	require.Subset(t, totals, []string{"jobs one 1", "jobs two 10", "jobs one 3", "jobs two 30"})
	require.Equal(t, []Death{{"two", []Sample{{`jobs_total{queue="mail"}`, 30}}}}, deaths)

	_, err = Open(filepath.Join(elsewhere, "r"), a, Options{})
	require.ErrorContains(t, err, "another process records")
	require.ErrorIs(t, Read(filepath.Join(elsewhere, "none"), nil), ErrNone)
}

// TestDeathsInOrder: processes that die in one second are always named in the same order.
func TestDeathsInOrder(t *testing.T) {
	living := map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "6"}
	said := func() string {
		e := encoder{living: living}
		return string(e.appendDeaths(nil, func(string) []*metric.Family { return nil }))
	}
	want := "\x06\x011\x00\x012\x00\x013\x00\x014\x00\x015\x00\x016\x00"
	for range 20 {
		require.Equal(t, want, said())
	}
}

// TestCutAnywhere: whatever is missing at the end of a file, what is before it can be read.
func TestCutAnywhere(t *testing.T) {
	dir := t.TempDir()
	a := openView(t, dir)
	c := &clock{time.UnixMilli(1_000_000)}
	place := filepath.Join(t.TempDir(), "r")
	rec, err := Open(place, a, Options{Now: c.Now})
	require.NoError(t, err)
	w := newWriter(t, dir, "w")
	jobs := w.add(&metric.Schema{Name: "jobs", Help: "H.", Type: metric.Counter})
	for range 26 {
		jobs.Words()[mpm.CellCounterInts]++
		c.now = c.now.Add(time.Second)
		require.NoError(t, rec.Tick(t.Context()))
	}
	require.NoError(t, rec.Close())
	ticks := func() (n int) {
		require.NoError(t, Read(place, func(s *State) bool {
			n++
			require.EqualValues(t, n, flat(s.Families())["jobs_total"])
			return true
		}))
		return n
	}
	require.Equal(t, 26, ticks())
	for _, name := range []string{tailName, fileNames[0]} {
		path := filepath.Join(place, name)
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		least := 26
		from := 0
		if name != tailName {
			from = headerSize + 1
		}
		for size := len(whole); size >= from; size-- {
			require.NoError(t, os.WriteFile(path, whole[:size], 0o600))
			n := 0
			require.NoError(t, Read(place, func(*State) bool { n++; return true }))
			require.LessOrEqual(t, n, least)
			least = n
		}
		require.NoError(t, os.WriteFile(path, whole, 0o600))
	}
	// A recorder that begins again loses nothing of it.
	rec, err = Open(place, a, Options{Now: c.Now})
	require.NoError(t, err)
	require.Equal(t, 26, ticks())
	jobs.Words()[mpm.CellCounterInts]++
	c.now = c.now.Add(time.Second)
	require.NoError(t, rec.Tick(t.Context()))
	require.Equal(t, 27, ticks())
	require.NoError(t, rec.Close())
}

// TestBounded: the files stay below MaxBytes.
func TestBounded(t *testing.T) {
	dir := t.TempDir()
	a := openView(t, dir)
	c := &clock{time.UnixMilli(1_000_000)}
	place := filepath.Join(t.TempDir(), "r")
	const most = 64 << 10
	rec, err := Open(place, a, Options{Now: c.Now, MaxBytes: most})
	require.NoError(t, err)
	defer rec.Close()
	w := newWriter(t, dir, "w")
	r := rand.New(rand.NewPCG(1, 1))
	var all []*mpm.Series
	schema := &metric.Schema{Name: "load", Help: "H.", Type: metric.Gauge, Mode: metric.ModeSum, Labels: []string{"n"}}
	f, err := w.AddSchema(schema)
	require.NoError(t, err)
	for i := range 100 {
		s, err := w.AddSeries(f, []string{fmt.Sprint(i)}, nil)
		require.NoError(t, err)
		all = append(all, s)
	}
	for range 500 {
		for _, s := range all {
			s.Words()[mpm.CellGauge] = math.Float64bits(r.NormFloat64())
		}
		c.now = c.now.Add(time.Second)
		require.NoError(t, rec.Tick(t.Context()))
		size := int64(0)
		for _, name := range fileNames {
			if info, err := os.Stat(filepath.Join(place, name)); err == nil {
				size += info.Size()
			}
		}
		require.Less(t, size, int64(most+most/4))
	}
	n := 0
	require.NoError(t, Read(place, func(*State) bool { n++; return true }))
	require.Greater(t, n, 20)
	require.Less(t, n, 200)
}

func FuzzTick(f *testing.F) {
	f.Add([]byte{1, 1, 1, 0, 0, 0, 0, 0}, []byte{2, 1, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, first, next []byte) {
		var s State
		for _, tick := range [][]byte{first, next, next} {
			if ok, err := s.apply(tick); err == nil && ok {
				s.Families()
			}
		}
	})
}

func TestChanges(t *testing.T) {
	values := []float64{0, 1, -1, 3, 1e15, 1e16, 0.1, math.Inf(1), math.NaN(), math.Copysign(0, -1), math.MaxFloat64, 5e-324, 1 << 51, -(1 << 51)}
	for _, a := range values {
		for _, b := range values {
			d := decoder{b: appendChange(nil, math.Float64bits(a), math.Float64bits(b))}
			require.Equal(t, math.Float64bits(b), d.change(math.Float64bits(a)), "%v %v", a, b)
			require.False(t, d.bad)
			require.Empty(t, d.b)
		}
	}
}
