package mmapstore_test

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

func create(t *testing.T, opts mmapstore.Options) *mmapstore.Store {
	t.Helper()
	s, err := mmapstore.Create(t.TempDir(), opts)
	require.NoError(t, err)
	return s
}

func add(t *testing.T, s *mmapstore.Store, schema *metric.Schema, values ...string) *mmapstore.Series {
	t.Helper()
	f, err := s.AddSchema(schema)
	require.NoError(t, err)
	series, err := f.AddSeries(values...)
	require.NoError(t, err)
	require.False(t, series.Lost())
	return series
}

func read(t *testing.T, path string) *mmapstore.File {
	t.Helper()
	f, err := mmapstore.Read(path, mmapstore.ReadOptions{})
	require.NoError(t, err)
	return f
}

// lines returns the samples of a file as text.
func lines(f *mmapstore.File) (out []string) {
	for _, family := range f.Families {
		for s := range family.Samples() {
			out = append(out, s.Name+s.Labels.String()+" "+form.FormatFloat(s.Value))
		}
	}
	return out
}

func TestReadOfEachType(t *testing.T) {
	float := math.Float64bits
	words := func(at int, values ...uint64) func([]uint64) {
		return func(w []uint64) {
			for i, v := range values {
				atomic.StoreUint64(&w[at+i], v)
			}
		}
	}
	recent := func(v float64) func([]uint64) {
		return func(w []uint64) { mmapstore.StoreRecent(w, float(v), 1e18) }
	}
	states := []string{"idle", "busy"}
	for name, tc := range map[string]struct {
		schema metric.Schema
		values []string
		set    func([]uint64)
		want   string
	}{
		"counter": {
			metric.Schema{Type: metric.Counter, Labels: []string{"b", "a"}}, []string{"1", "2"}, words(mmapstore.CellCounterInts, 3, float(0.5)), `m_total{a="2",b="1"} 3.5`,
		},
		"gauge":         {metric.Schema{Type: metric.Gauge, Const: metric.Labels{{Name: "c", Value: "x"}}}, nil, words(mmapstore.CellGauge, float(-2)), `m{c="x"} -2`},
		"unset gauge":   {metric.Schema{Type: metric.Gauge, Mode: metric.ModeMin}, nil, words(0), `m 0`},
		"recent gauge":  {metric.Schema{Type: metric.Gauge, Mode: metric.ModeMostRecent}, nil, recent(7), `m 7`},
		"histogram":     {metric.Schema{Type: metric.Histogram, Bounds: []float64{1, 2}}, nil, words(mmapstore.CellHistogramSum, float(9), 1, 0, 2), `m_bucket{le="1"} 1 m_bucket{le="2"} 1 m_bucket{le="+Inf"} 3 m_sum 9 m_count 3`},
		"summary":       {metric.Schema{Type: metric.Summary}, nil, words(mmapstore.CellSummaryCount, 2, float(1.5)), `m_sum 1.5 m_count 2`},
		"info":          {metric.Schema{Type: metric.Info, Labels: []string{"version"}}, []string{"1"}, words(0), `m_info{version="1"} 1`},
		"enum":          {metric.Schema{Type: metric.StateSet, States: states}, nil, words(mmapstore.CellState, 1), `m{m="idle"} 0 m{m="busy"} 1`},
		"recent enum":   {metric.Schema{Type: metric.StateSet, States: states, Mode: metric.ModeMostRecent}, nil, recent(1), `m{m="idle"} 0 m{m="busy"} 1`},
		"unset recents": {metric.Schema{Type: metric.StateSet, States: states, Mode: metric.ModeMostRecent}, nil, words(0), `m{m="idle"} 1 m{m="busy"} 0`},
	} {
		t.Run(name, func(t *testing.T) {
			tc.schema.Name, tc.schema.Help = "m", "Help."
			s := create(t, mmapstore.Options{})
			series := add(t, s, &tc.schema, tc.values...)
			tc.set(series.Words())
			f := read(t, s.Path())
			require.Equal(t, tc.want, strings.Join(lines(f), " "))
			require.Equal(t, "Help.", f.Families[0].Help)
			created := f.Families[0].Series[0].Created
			switch tc.schema.Type {
			case metric.Counter, metric.Histogram, metric.Summary:
				require.WithinDuration(t, time.Now(), created, time.Hour)
			default:
				require.Zero(t, created)
			}
		})
	}
}

func TestReadSaysWhoseFileItIs(t *testing.T) {
	s := create(t, mmapstore.Options{ProcessID: "web-1"})
	f := read(t, s.Path())
	require.Equal(t, "web-1", f.ProcessID)
	require.Equal(t, os.Getpid(), f.PID)
	require.True(t, f.Alive)
	require.False(t, f.Closed)
	require.WithinDuration(t, time.Now(), f.Created, time.Hour)
	require.NotZero(t, f.Incarnation)
	require.NotZero(t, f.Bytes)

	require.NoError(t, s.Close())
	f = read(t, s.Path())
	require.True(t, f.Closed)
	require.False(t, f.Alive)
	require.ErrorIs(t, s.Close(), mmapstore.ErrClosed)
	_, err := s.AddSchema(&metric.Schema{Name: "idle", Type: metric.Counter, Labels: []string{"l"}, TTL: time.Minute})
	require.ErrorContains(t, err, "TTL")
	_, err = s.AddSchema(&metric.Schema{Name: "native", Type: metric.Histogram, Native: &metric.NativeSchema{MaxBuckets: 160}})
	require.ErrorContains(t, err, "native")
	require.ErrorIs(t, err, metric.ErrInvalid)
	_, err = s.AddSchema(&metric.Schema{Name: "late", Type: metric.Counter})
	require.ErrorIs(t, err, mmapstore.ErrClosed)
}

func TestExemplars(t *testing.T) {
	s := create(t, mmapstore.Options{})
	c := add(t, s, &metric.Schema{Name: "c", Type: metric.Counter})
	h := add(t, s, &metric.Schema{Name: "h", Type: metric.Histogram, Bounds: []float64{1}})
	trace := metric.Exemplar{Labels: metric.Labels{{Name: "trace_id", Value: "4711"}}, Value: 2}
	require.NoError(t, c.SetExemplar(0, trace))
	require.NoError(t, h.SetExemplar(1, trace))
	require.NoError(t, h.SetExemplar(2, trace), "there is no such bucket, so none keeps it")
	require.ErrorIs(t, h.SetExemplar(-1, trace), form.ErrExemplar)
	require.ErrorIs(t, c.SetExemplar(0, metric.Exemplar{Labels: metric.Labels{{Name: "x", Value: strings.Repeat("x", 200)}}}), form.ErrExemplar)

	f := read(t, s.Path())
	counter, histogram := f.Families[0].Series[0], f.Families[1].Series[0]
	for _, x := range []*metric.Exemplar{counter.Exemplar, histogram.Buckets[1].Exemplar} {
		require.NotNil(t, x)
		require.Equal(t, trace.Labels, x.Labels)
		require.WithinDuration(t, time.Now(), x.Timestamp, time.Hour)
	}
	require.Nil(t, histogram.Buckets[0].Exemplar)
}

func TestRemovedSeries(t *testing.T) {
	s := create(t, mmapstore.Options{})
	f, err := s.AddSchema(&metric.Schema{Name: "c", Type: metric.Counter, Labels: []string{"l"}})
	require.NoError(t, err)
	gone, err := f.AddSeries("gone")
	require.NoError(t, err)
	_, err = f.AddSeries("kept")
	require.NoError(t, err)
	gone.Remove()
	gone.Remove()
	require.Equal(t, []string{`c_total{l="kept"} 0`}, lines(read(t, s.Path())))
}

func TestAddSeriesErrors(t *testing.T) {
	s := create(t, mmapstore.Options{})
	f, err := s.AddSchema(&metric.Schema{Name: "c", Type: metric.Counter, Labels: []string{"l"}})
	require.NoError(t, err)
	_, err = f.AddSeries()
	require.ErrorIs(t, err, form.ErrLabel)
	_, err = f.AddSeries(strings.Repeat("x", 1<<17))
	require.ErrorIs(t, err, mmapstore.ErrRecordTooLarge)
	_, err = s.AddSchema(&metric.Schema{})
	require.ErrorIs(t, err, form.ErrName)
	_, err = mmapstore.Create(t.TempDir(), mmapstore.Options{ProcessID: strings.Repeat("x", 200)})
	require.ErrorContains(t, err, "ProcessID")
	_, err = mmapstore.Create(filepath.Join(t.TempDir(), "missing"), mmapstore.Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestFullStore: what does not fit the file still counts in its process, and the file says
// how many series those are.
func TestFullStore(t *testing.T) {
	s := create(t, mmapstore.Options{MaxBytes: 2 << 16})
	f, err := s.AddSchema(&metric.Schema{Name: "c", Type: metric.Counter, Labels: []string{"l"}})
	require.NoError(t, err)
	lost := uint64(0)
	for i := range 2000 {
		series, err := f.AddSeries(strconv.Itoa(i))
		require.NoError(t, err)
		if series.Lost() {
			lost++
			atomic.AddUint64(&series.Words()[mmapstore.CellCounterInts], 1)
		}
	}
	require.NotZero(t, lost)
	file := read(t, s.Path())
	require.Equal(t, lost, file.FallbackSeries)
	require.Len(t, file.Families[0].Series, 2000-int(lost))
}

func TestReadPython(t *testing.T) {
	key := func(name, labels string) string { return `["m", "` + name + `", {` + labels + `}, "Help."]` }
	for _, tc := range []struct {
		file    string
		samples []pyfiletest.Sample
		want    string
	}{
		{"counter_7.db", []pyfiletest.Sample{{Key: key("m_total", `"l": "x"`), Value: 2.5}, {Key: key("m_total", `"l": "x"`), Value: 1}}, `m_total{l="x"} 3.5`},
		{"gauge_liveall_7.db", []pyfiletest.Sample{{Key: key("m", ``), Value: -1}}, `m -1`},
		{"summary_7.db", []pyfiletest.Sample{{Key: key("m_count", ``), Value: 2}, {Key: key("m_sum", ``), Value: 3}}, `m_sum 3 m_count 2`},
		{"histogram_7.db", []pyfiletest.Sample{
			{Key: key("m_sum", ``), Value: 3}, {Key: key("m_bucket", `"le": "+Inf"`), Value: 1}, {Key: key("m_bucket", `"le": "1.0"`), Value: 4},
		}, `m_bucket{le="1"} 4 m_bucket{le="+Inf"} 5 m_sum 3 m_count 5`},
		{"histogram_8.db", []pyfiletest.Sample{{Key: key("m_sum", ``), Value: 3}, {Key: key("m_bucket", `"le": "1.0"`), Value: math.NaN()}},
			`m_bucket{le="1"} 0 m_bucket{le="+Inf"} 0 m_sum 3 m_count 0`},
	} {
		t.Run(tc.file, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tc.file)
			require.NoError(t, os.WriteFile(path, pyfiletest.Timed.Content(tc.samples...), 0o600))
			f := read(t, path)
			require.Equal(t, tc.want, strings.Join(lines(f), " "))
			require.Equal(t, "Help.", f.Families[0].Help)
			require.True(t, f.Alive)
			require.Equal(t, strings.TrimSuffix(tc.file[strings.LastIndex(tc.file, "_")+1:], ".db"), f.ProcessID)
		})
	}
}

// TestBadFiles: Read and Verify say the same of what a file is, and Verify returns damage as
// findings.
func TestBadFiles(t *testing.T) {
	s := create(t, mmapstore.Options{})
	add(t, s, &metric.Schema{Name: "c", Type: metric.Counter})
	sound, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	native := filepath.Base(s.Path())
	damaged := func(at int, to byte) []byte {
		b := append([]byte(nil), sound...)
		b[at] = to
		return b
	}
	none := func(int) bool { return false }
	for name, tc := range map[string]struct {
		file    string
		content []byte
		opts    mmapstore.ReadOptions
		err     error // of both
		damage  int   // findings of Verify
	}{
		"sound":           {file: native, content: sound},
		"record":          {file: native, content: damaged(600, 'x'), damage: 2},
		"header":          {file: native, content: damaged(30, 'x'), err: mmapstore.ErrCorrupt, damage: 1},
		"empty":           {file: native, err: mmapstore.ErrCorrupt, damage: 1},
		"foreign":         {file: native, content: []byte("hello"), err: mmapstore.ErrForeign},
		"newer":           {file: native, content: damaged(8, 9), err: mmapstore.ErrUnsupported},
		"too big":         {file: native, content: sound, opts: mmapstore.ReadOptions{MaxBytes: 100}, err: mmapstore.ErrTooBig},
		"nobody's":        {file: native, content: sound, opts: mmapstore.ReadOptions{Trusted: none}, err: mmapstore.ErrNotTrusted},
		"copy":            {file: "copy.mpm", content: sound, err: mmapstore.ErrForeign},
		"python":          {file: "counter_1.db", content: pyfiletest.Timed.Content(pyfiletest.Sample{Key: `["m", "m", {}, "H."]`}, pyfiletest.Sample{Key: "[oops"}), damage: 1},
		"foreign python":  {file: "other_1.db", content: pyfiletest.Timed.Content(), err: mmapstore.ErrForeign},
		"foreign archive": {file: "archive.mpm", content: []byte("hello"), err: mmapstore.ErrForeign},
		"missing":         {file: native, err: fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tc.file)
			if name != "missing" {
				require.NoError(t, os.WriteFile(path, tc.content, 0o600))
			}
			_, err := mmapstore.Read(path, tc.opts)
			require.ErrorIs(t, err, tc.err)
			found, err := mmapstore.Verify(path, tc.opts)
			if tc.err != mmapstore.ErrCorrupt {
				require.ErrorIs(t, err, tc.err)
			} else {
				require.NoError(t, err)
			}
			require.Len(t, found, tc.damage)
			for _, c := range found {
				require.ErrorIs(t, &c, mmapstore.ErrCorrupt)
				require.Equal(t, path, c.Path)
			}
		})
	}
}
