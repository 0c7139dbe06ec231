package oracle

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	prom "github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// worker is a process of a test with one native histogram, and what it has observed.
type worker struct {
	set  *multiproc.Set
	h    *multiproc.Histogram
	dir  string
	died bool
	n    int // observations; a process without any has no file

	definition histogram.Definition
	truth      *observer // at the declared schema, whatever the worker does
}

// factors are those of all schemas, from the coarsest.
var factors = []float64{1e6, 300, 20, 5, 2, 1.5, 1.2, 1.1, 1.05, 1.03, 1.02, 1.008, 1.004}

// thresholds are zero thresholds as an application writes them, with what they are.
var thresholds = map[float64]float64{0: 0x1p-128, -1: 0, 0.001: 0.001, 0.3: 0.3, 1: 1, 3: 3}

func startWorker(t *testing.T, dir string, id int, opts multiproc.HistogramOpts) *worker {
	t.Helper()
	opts.Name, opts.Help = "h", "H."
	w := &worker{dir: dir, set: multiproc.NewSet(multiproc.SetOptions{Dir: dir, ProcessID: strconv.Itoa(id)})}
	t.Cleanup(func() { _ = w.set.Close() })
	var err error
	w.h, err = w.set.NewHistogram(opts)
	require.NoError(t, err)
	w.definition = histogram.Definition{
		Schema: histogram.SchemaOf(opts.NativeHistogramBucketFactor), Limit: int(opts.NativeHistogramMaxBucketNumber),
		Threshold: thresholds[opts.NativeHistogramZeroThreshold],
	}
	w.truth = newObserver(w.definition)
	return w
}

func (w *worker) observe(x float64) {
	w.n++
	w.h.Observe(x)
	w.truth.observe(x)
}

// die puts the file of a worker, which lives elsewhere, into dir: nobody holds its lock there.
func (w *worker) die(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "*.mpm"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(files[0])), b, 0o600))
	w.died = true
}

// viewed returns what a server has after a scrape of the histogram, nil if there is none.
func viewed(t *testing.T, a *aggregate.Aggregator) *prom.Histogram {
	t.Helper()
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	for _, f := range families {
		if f.Name != "h" {
			continue
		}
		s := &f.Series[0]
		require.NotNil(t, s.Native)
		require.NoError(t, histogram.Check(s.Native, s.Count, s.Sum))
		below := uint64(0)
		for _, b := range s.Buckets {
			require.GreaterOrEqual(t, b.Count, below)
			below = b.Count
		}
		require.Equal(t, s.Count, below)
		out := serverHistogram(s.Native, s.Count, s.Sum)
		require.NoError(t, out.Validate())
		return out
	}
	return nil
}

// randomOpts returns a declaration as one of the versions of a program may have it.
func randomOpts(rnd *rand.Rand, common multiproc.HistogramOpts) multiproc.HistogramOpts {
	if rnd.IntN(2) == 0 {
		return common
	}
	common.NativeHistogramBucketFactor = factors[rnd.IntN(len(factors))]
	common.NativeHistogramMaxBucketNumber = []uint32{5, 40, 160, 1024}[rnd.IntN(4)]
	common.NativeHistogramZeroThreshold = []float64{0, 0, -1, 0.001, 0.3, 1, 3}[rnd.IntN(7)]
	return common
}

// TestFilesAreTheirs has processes with mixed declarations observe, die and be compacted in any
// order. The view is what a server's own arithmetic makes of the processes, bit for bit; its
// schema is that of one process that has seen all; and no view on the way is a counter reset.
func TestFilesAreTheirs(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	lowered, died, compacted, negative := 0, 0, 0, 0
	for seed := range uint64(rounds) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		dir := t.TempDir()
		a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
		require.NoError(t, err)
		spread := rnd.Float64() * 6
		common := multiproc.HistogramOpts{NativeHistogramBucketFactor: factors[4+rnd.IntN(9)], NativeHistogramMaxBucketNumber: []uint32{20, 160, 1024}[rnd.IntN(3)]}
		if rnd.IntN(2) == 0 {
			common.Buckets = []float64{0.1, 1, 10}
		}
		var all, living []*worker
		var last *prom.FloatHistogram
		for range 12 {
			if len(living) < 1+rnd.IntN(4) {
				w := startWorker(t, t.TempDir(), len(all), randomOpts(rnd, common))
				if rnd.IntN(2) == 0 {
					w = startWorker(t, dir, len(all), randomOpts(rnd, common))
				}
				all, living = append(all, w), append(living, w)
			}
			for range rnd.IntN(60) {
				w := living[rnd.IntN(len(living))]
				w.observe(value(rnd, w.truth.Schema, spread))
			}
			if i := rnd.IntN(len(living)); rnd.IntN(3) == 0 && living[i].dir != dir && living[i].n > 0 {
				living[i].die(t, dir)
				living = append(living[:i], living[i+1:]...)
				died++
			}
			if rnd.IntN(4) == 0 {
				result, err := aggregate.Compact(context.Background(), dir, aggregate.CompactOptions{})
				require.NoError(t, err)
				compacted += result.Processes
			}
			view := viewed(t, a)
			if view == nil {
				require.Nil(t, last)
				continue
			}
			now := view.ToFloat(nil)
			if last != nil {
				require.False(t, now.DetectReset(last), "seed %d: %s after %s", seed, now, last)
			}
			last = now
		}
		got := viewed(t, a)
		require.NoError(t, a.Close())
		var one histogram.Total // of a process that has seen all
		sum := 0.0
		var parts []*worker
		for _, w := range all {
			if w.n > 0 && (w.dir == dir || w.died) {
				parts = append(parts, w)
				one.Merge(&w.truth.total)
				sum += w.truth.sum
			}
		}
		if len(parts) == 0 {
			require.Nil(t, got)
			continue
		}
		before := one.Schema()
		if one.Fit(); one.Schema() < before {
			lowered++
		}
		require.Equal(t, one.Schema(), int(got.Schema), "seed %d", seed)
		var want *prom.FloatHistogram
		for _, w := range parts {
			d := w.definition
			d.Limit = unlimited
			var part histogram.Total
			part.Define(d)
			part.Merge(&w.truth.total)
			var h metric.NativeHistogram
			count, ok := part.Show(&h, math.IsNaN(sum)) // NaN is part of each count, or of none
			require.True(t, ok)
			f := serverHistogram(&h, count, w.truth.sum).ToFloat(nil)
			if f.Schema > got.Schema {
				require.NoError(t, f.ReduceResolution(got.Schema))
			}
			if want == nil {
				want = f
				continue
			}
			want, _, _, err = want.Add(f)
			require.NoError(t, err)
		}
		if want.ZeroThreshold < got.ZeroThreshold { // as in TestMergeIsTheirs
			_, _, _, err := want.Add(&prom.FloatHistogram{Schema: got.Schema, ZeroThreshold: got.ZeroThreshold})
			require.NoError(t, err)
		}
		want.Sum = got.Sum
		require.True(t, want.Compact(0).Equals(got.ToFloat(nil).Compact(0)), "seed %d:\nwant %s\ngot  %s", seed, want, got.ToFloat(nil))
		if len(got.NegativeBuckets) > 0 {
			negative++
		}
	}
	for _, n := range []int{lowered, died, compacted, negative} {
		require.Greater(t, n, rounds/10)
	}
}
