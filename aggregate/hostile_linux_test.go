package aggregate

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// hostileFiles fill a directory with files that are sound by themselves, and made so
// that little of them stands for much.
var hostileFiles = map[string]func(t *testing.T, dir string){
	"long label names": func(t *testing.T, dir string) {
		p := newProcess(t, dir, "a", 1)
		s := counter("c")
		for i := range form.MaxLabels - 1 {
			s.Labels = append(s.Labels, fmt.Sprintf("l%02d_%s", i, strings.Repeat("x", 900)))
		}
		manySeries(t, p, s, 5000)
	},
	"long constant labels": func(t *testing.T, dir string) {
		p := newProcess(t, dir, "a", 1)
		s := counter("c", "l")
		for i := range 14 {
			s.Const = append(s.Const, metric.Label{Name: fmt.Sprintf("l%02d", i), Value: strings.Repeat("x", 4000)})
		}
		manySeries(t, p, s, 10000)
	},
	"many states": func(t *testing.T, dir string) {
		p := newProcess(t, dir, "a", 1)
		s := &metric.Schema{Name: "s", Help: "S.", Type: metric.StateSet, Mode: metric.ModeLiveMax, Labels: []string{"l"}}
		for i := range form.MaxStates {
			s.States = append(s.States, fmt.Sprintf("%03d_%s", i, strings.Repeat("x", 200)))
		}
		manySeries(t, p, s, 5000)
	},
	"gauges of all": func(t *testing.T, dir string) {
		p := newProcess(t, dir, strings.Repeat("p", 120), 1)
		manySeries(t, p, gauge("g", metric.ModeAll, "l"), 20000)
	},
	"series that share words": func(t *testing.T, dir string) { shareWords(t, dir, 16) },
	"buckets": func(t *testing.T, dir string) {
		p := newProcess(t, dir, "a", 1)
		h := histogramSchema("h")
		h.Labels = []string{"l"}
		for i := range form.MaxBounds {
			h.Bounds = append(h.Bounds, float64(i))
		}
		manySeries(t, p, h, 200)
	},
	"native histograms": func(t *testing.T, dir string) {
		p := newProcess(t, dir, "a", 1)
		s := nativeOf("n", metric.NativeSchema{Schema: 8, MaxBuckets: 1024})
		s.Labels = []string{"l"}
		manySeries(t, p, s, 20000)
	},
	"regions of one histogram": func(t *testing.T, dir string) {
		p := newProcess(t, dir, "a", 1)
		s := p.add(nativeOf("n", metric.NativeSchema{Schema: 8, MaxBuckets: 1024}))
		for i := range 20000 {
			s.AddRegion(histogram.Region{Schema: 8, Number: int32(i - 10000)})[i%histogram.RegionBuckets] = 1
		}
	},
	"infos": func(t *testing.T, dir string) {
		p := newProcess(t, dir, "a", 1)
		f, err := p.AddSchema(&metric.Schema{Name: "i", Help: "I.", Type: metric.Info})
		require.NoError(t, err)
		for k := range 500 {
			var extra metric.Labels
			for i := range 60 {
				extra = append(extra, metric.Label{Name: fmt.Sprintf("x%04d", i), Value: strconv.Itoa(k)})
			}
			_, err := p.AddSeries(f, nil, extra)
			require.NoError(t, err)
		}
	},
	"families": func(t *testing.T, dir string) {
		p := newProcess(t, dir, "a", 1)
		for i := range 20000 {
			p.add(counter(fmt.Sprintf("c%d", i)))
		}
	},
	"counters": func(t *testing.T, dir string) {
		p := newProcess(t, dir, "a", 1)
		manySeries(t, p, counter("c", "l"), 20000)
	},
	"python labels": func(t *testing.T, dir string) {
		var s []pyfiletest.Sample
		for i := range 20 {
			var b strings.Builder
			for j := range 20000 {
				fmt.Fprintf(&b, `"a%d": "",`, j)
			}
			s = append(s, pySample("c", "c_total", b.String()+fmt.Sprintf(`"l": "%d"`, i), 1, 0))
		}
		writePython(t, dir, "counter_1.db", s...)
	},
	"python keys": func(t *testing.T, dir string) {
		var s []pyfiletest.Sample
		for i := range 20000 {
			s = append(s, pySample("c", "c_total", fmt.Sprintf(`"l": "%d"`, i), 1, 0))
		}
		writePython(t, dir, "counter_1.db", s...)
	},
	"python nests": func(t *testing.T, dir string) {
		deep := strings.Repeat("[", 1<<20)
		writePython(t, dir, "counter_1.db", pyfiletest.Sample{Key: deep, Value: 1})
	},
}

func manySeries(t *testing.T, p *process, s *metric.Schema, n int) {
	t.Helper()
	f, err := p.AddSchema(s)
	require.NoError(t, err)
	values := make([]string, len(s.Labels))
	for i := range values {
		values[i] = "1"
	}
	for k := range n {
		values[0] = strconv.Itoa(k)
		one, err := p.AddSeries(f, values, nil)
		require.NoError(t, err)
		one.Words()[0] = 1
	}
}

// shareWords writes a file with as many histograms of 1,024 buckets as there is room for
// in so many blocks, all of which have the same words.
func shareWords(t *testing.T, dir string, blocks int) {
	t.Helper()
	p := newProcess(t, t.TempDir(), "a", 1)
	h := histogramSchema("h")
	h.Labels = []string{"l"}
	for i := range form.MaxBounds {
		h.Bounds = append(h.Bounds, float64(i))
	}
	manySeries(t, p, h, 1)
	b, err := os.ReadFile(p.Path())
	require.NoError(t, err)
	// docs/format.md, "Block header", "Records" and "Series".
	const header, blockHeader, offUsed, offFamily, offCells = 512, 64, 8, 36, 40
	le := binary.LittleEndian
	used := le.Uint64(b[header+offUsed:])
	at := header + blockHeader
	for n := int(le.Uint32(b[at:])); at+n < int(used); n = int(le.Uint32(b[at:])) {
		at += n // to the last record, which is the series'
	}
	series := append([]byte(nil), b[at:used]...)
	require.EqualValues(t, 2, le.Uint16(series[4:]), "a series")
	number := 0
	next := func() []byte {
		one := append([]byte(nil), series[:offCells+8]...)
		number++
		label := strconv.Itoa(number)
		one = append(le.AppendUint16(one, uint16(len(label))), label...)
		for len(one)%8 != 0 {
			one = append(one, 0)
		}
		le.PutUint32(one, uint32(len(one)))
		table := crc32.MakeTable(crc32.Castagnoli)
		le.PutUint32(one[8:], crc32.Update(crc32.Checksum(one[:8], table), table, one[offFamily:]))
		return one
	}
	le.PutUint64(b[256:], uint64(len(b)/mpm.BlockSize+blocks))
	for range blocks {
		block := make([]byte, blockHeader, mpm.BlockSize)
		le.PutUint32(block, 1)
		le.PutUint32(block[4:], uint32(len(b)/mpm.BlockSize))
		for one := next(); len(block)+len(one) <= mpm.BlockSize; one = next() {
			block = append(block, one...)
		}
		le.PutUint64(block[offUsed:], uint64(len(block)))
		b = append(b, append(block, make([]byte, mpm.BlockSize-len(block))...)...)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(p.Path())), b, 0o600))
}

// TestMemoryIsBoundedByTheFiles: what a reader keeps is a small multiple of what the
// files take, whatever is in them.
func TestMemoryIsBoundedByTheFiles(t *testing.T) {
	const times, fixed = 16, 1 << 20
	for name, build := range hostileFiles {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			build(t, dir)
			var bytes int64
			for _, n := range names(t, dir) {
				info, err := os.Stat(filepath.Join(dir, n))
				require.NoError(t, err)
				bytes += info.Size()
			}
			heap := func() int64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			a := openDir(t, dir, Options{NoSelfMetrics: true})
			before, kept, rows := heap(), int64(0), 0
			views.Show(t.Context(), a, func(families []views.Family, err error) {
				require.NoError(t, err)
				for _, f := range families {
					rows += f.Len()
				}
				kept = heap() - before
			})
			require.LessOrEqual(t, kept, times*bytes+fixed)
			t.Logf("%d bytes, %d rows: %.1f times as much is kept", bytes, rows, float64(kept)/float64(bytes))
		})
	}
}

// TestSharedWordsAreDamage: the first series that has the words is served, the others are
// counted as damaged, and the file is not compacted.
func TestSharedWordsAreDamage(t *testing.T) {
	dir := t.TempDir()
	shareWords(t, dir, 1)
	got := gather(t, openDir(t, dir, Options{}))
	require.EqualValues(t, 1, got["multiprom_read_series"])
	require.Greater(t, got["multiprom_damaged_records"], 1000.0)
	r := compactDir(t, dir)
	require.Len(t, r.Left, 1)
	require.ErrorIs(t, r.Left[0].Reason, compact.ErrNotUnderstood)
}
