package integration

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

const (
	envNativeSeed  = "MULTIPROM_TEST_SEED"
	nativeBatch    = 200
	nativeMost     = 20_000 // observations of a process
	nativeSeries   = 3
	nativeMaxFloat = 1 << 30
)

// observation is what a worker observes.
type observation struct {
	series int
	value  float64
}

// nativeStream is the observations of the worker of a seed. They spread wider and wider, so that
// schemas fall while it runs. Values are whole numbers: their sum does not depend on the order.
func nativeStream(seed uint64) func() observation {
	r := rand.New(rand.NewPCG(seed, 24))
	spread := 0.5 + 6*r.Float64()
	n := 0.0
	return func() observation {
		n++
		v := math.Round(math.Exp(r.NormFloat64() * spread * (0.2 + n/nativeMost)))
		v = min(v, nativeMaxFloat)
		if r.IntN(4) == 0 {
			v = -v
		}
		return observation{r.IntN(nativeSeries), v}
	}
}

// nativeOptions of the worker of a seed: deploys have changed them.
func nativeOptions(seed uint64) multiproc.HistogramOpts {
	return multiproc.HistogramOpts{
		Name: "kill_native", Help: "N.", Buckets: [][]float64{{1, 10}, {5, 10, 100}}[seed%2],
		NativeHistogramBucketFactor:    []float64{1.1, 1.05, 1.3}[seed%3],
		NativeHistogramMaxBucketNumber: []uint32{0, 60, 1000, 25}[seed/3%4],
	}
}

// nativeKillRole observes its stream. Before each batch it prints how many observations it will
// have attempted, and after it how many have returned.
func nativeKillRole() error {
	seed, err := strconv.ParseUint(os.Getenv(envNativeSeed), 10, 64)
	if err != nil {
		return err
	}
	vec := multiproc.NewHistogramVec(nativeOptions(seed), []string{"n"})
	next := nativeStream(seed)
	for done := 0; done < nativeMost; done += nativeBatch {
		fmt.Printf("attempt %d\n", done+nativeBatch)
		for range nativeBatch {
			o := next()
			vec.WithLabelValues(strconv.Itoa(o.series)).Observe(o.value)
		}
		fmt.Printf("done %d\n", done+nativeBatch)
	}
	fmt.Println("end")
	return block()
}

// nativeBuckets has counts of the fine buckets of one series.
type nativeBuckets struct {
	counts map[[2]int32]uint64 // by sign and number at schema 8
	zero   uint64
	all    uint64
	sum    float64
	most   float64 // sum of the magnitudes
}

// nativeCounts counts the first n observations of a seed.
func nativeCounts(to []nativeBuckets, seed uint64, n int) {
	next := nativeStream(seed)
	fine := histogram.Of(histogram.MaxSchema)
	for range n {
		o := next()
		b := &to[o.series]
		b.sum, b.most, b.all = b.sum+o.value, b.most+math.Abs(o.value), b.all+1
		if o.value == 0 {
			b.zero++
			continue
		}
		sign := int32(0)
		if o.value < 0 {
			sign = 1
		}
		b.counts[[2]int32{sign, fine.Index(o.value)}]++
	}
}

func newNativeBuckets() []nativeBuckets {
	out := make([]nativeBuckets, nativeSeries)
	for i := range out {
		out[i].counts = map[[2]int32]uint64{}
	}
	return out
}

// reduced returns the counts at a schema.
func (b *nativeBuckets) reduced(schema int) map[[2]int32]uint64 {
	out := map[[2]int32]uint64{}
	for at, n := range b.counts {
		out[[2]int32{at[0], histogram.Reduce(at[1], histogram.MaxSchema-schema)}] += n
	}
	return out
}

// nativeOf returns the counts of a series as it is shown, at its schema.
func nativeOf(h *metric.NativeHistogram) map[[2]int32]uint64 {
	out := map[[2]int32]uint64{}
	for sign, spans := range [][]metric.Span{h.Positive, h.Negative} {
		for i, n := range histogram.All(spans) {
			if n > 0 {
				out[[2]int32{int32(sign), int32(i)}] = n
			}
		}
	}
	return out
}

// nativeView returns the series of the merged view by label value.
func nativeView(a *aggregate.Aggregator) (map[string]metric.Series, error) {
	families, err := a.Gather(context.Background())
	out := map[string]metric.Series{}
	for _, f := range families {
		if f.Name == "kill_native" {
			for _, s := range f.Series {
				l, _ := s.Labels.Get("n")
				out[l] = s
			}
		}
	}
	return out, err
}

// nativeNeverResets reads the view until stop is called. What it shows is consistent, the schema
// only falls, the zero threshold only rises, and no count falls.
func nativeNeverResets(t *testing.T, a *aggregate.Aggregator) (stop func() (views int)) {
	views := 0
	ended := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		last := map[string]metric.Series{}
		for {
			select {
			case <-ended:
				return
			default:
			}
			now, err := nativeView(a)
			if err != nil {
				t.Error(err)
				return
			}
			for l, s := range now {
				if s.Native == nil {
					t.Error("a native histogram has no native buckets")
					return
				}
				if err := histogram.Check(s.Native, s.Count, s.Sum); err != nil {
					t.Error(err)
				}
				if before, ok := last[l]; ok {
					requireNoNativeReset(t, &before, &s)
				}
			}
			for l := range last {
				if _, ok := now[l]; !ok {
					t.Errorf("series %s is gone", l)
				}
			}
			last = now
			views++
		}
	})
	return func() int {
		close(ended)
		reader.Wait()
		return views
	}
}

func requireNoNativeReset(t *testing.T, before, now *metric.Series) {
	b, n := before.Native, now.Native
	if now.Count < before.Count || n.ZeroCount < b.ZeroCount || n.Schema > b.Schema || n.ZeroThreshold < b.ZeroThreshold {
		t.Errorf("a reset: count %d after %d, zero %d after %d, schema %d after %d", now.Count, before.Count, n.ZeroCount, b.ZeroCount, n.Schema, b.Schema)
		return
	}
	was := map[[2]int32]uint64{}
	for at, c := range nativeOf(b) {
		was[[2]int32{at[0], histogram.Reduce(at[1], b.Schema-n.Schema)}] += c
	}
	is := nativeOf(n)
	for at, c := range was {
		if is[at] < c {
			t.Errorf("a reset: bucket %v fell from %d to %d at schema %d", at, c, is[at], n.Schema)
		}
	}
}

// TestKilledNativeWriters: processes with differing definitions observe and are killed, while
// dead ones are compacted and a reader looks. Whatever was acknowledged is there, once: the count
// of each bucket lies between what had returned and what was begun.
func TestKilledNativeWriters(t *testing.T) {
	processes := 40
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		processes = n
	}
	dir := tmpfs(t)
	a := open(t, dir)
	startCompactor(t, dir, aggregate.CompactorOptions{CompactOptions: aggregate.CompactOptions{Threshold: 1}, Period: 20 * time.Millisecond})
	stop := nativeNeverResets(t, a)
	attempted, acknowledged := make([]int, processes), make([]int, processes)
	base := uint64(time.Now().UnixNano())
	t.Logf("seed %d", base)
	seeds := make(chan uint64, processes)
	for i := range uint64(processes) {
		seeds <- i
	}
	close(seeds)
	self, err := os.Executable()
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range seeds {
				cmd := exec.Command(self)
				cmd.Env = append(os.Environ(), envRole+"=native kill", "PROMETHEUS_MULTIPROC_DIR="+dir, envNativeSeed+"="+strconv.FormatUint(base+i, 10))
				h := startHelper(t, cmd)
				attempted[i], acknowledged[i] = h.killAfter(rand.IntN(nativeMost * 5 / 4)) // one in five runs to its end
			}
		})
	}
	wg.Wait()
	views := stop()

	lo, hi := newNativeBuckets(), newNativeBuckets()
	total := 0
	for i := range uint64(processes) {
		nativeCounts(lo, base+i, acknowledged[i])
		nativeCounts(hi, base+i, attempted[i])
		total += acknowledged[i]
	}
	shown, err := nativeView(a)
	require.NoError(t, err)
	require.Len(t, shown, nativeSeries)
	between := func(what string, lo, got, hi uint64) {
		t.Helper()
		require.GreaterOrEqual(t, got, lo, "%s: acknowledged observations are missing", what)
		require.LessOrEqual(t, got, hi, "%s: more than was attempted", what)
	}
	for n := range nativeSeries {
		s := shown[strconv.Itoa(n)]
		between("count", lo[n].all, s.Count, hi[n].all)
		between("zero", lo[n].zero, s.Native.ZeroCount, hi[n].zero)
		low, high, got := lo[n].reduced(s.Native.Schema), hi[n].reduced(s.Native.Schema), nativeOf(s.Native)
		for at := range got {
			require.Contains(t, high, at)
		}
		for at := range high {
			between(fmt.Sprintf("bucket %v", at), low[at], got[at], high[at])
		}
		require.InDelta(t, lo[n].sum, s.Sum, hi[n].most-lo[n].most)
		require.Less(t, s.Native.Schema, 4)
		require.Equal(t, s.Count, s.Buckets[len(s.Buckets)-1].Count)
	}
	t.Logf("%d processes, %d observations acknowledged, %d views, schema %d", processes, total, views, shown["0"].Native.Schema)
}
