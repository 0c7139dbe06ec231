package record

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// BenchmarkTick records 100,000 counters, of which some change in each second. %core is the CPU
// time of this process (getrusage) while a second is recorded, all its threads together, as a part
// of one core: the mean, so that writing a block every ten seconds is in it. In a second, the
// caches forget what a tick has used, so that is thrown out of them.
func BenchmarkTick(b *testing.B) {
	for _, percent := range []int{5, 100} {
		b.Run(fmt.Sprintf("changing=%d%%", percent), func(b *testing.B) {
			dir, words := manyCounters(b)
			a := openBench(b, dir)
			now := time.UnixMilli(1_000_000)
			r, err := Open(filepath.Join(b.TempDir(), "r"), a, Options{Keep: 1000 * time.Hour, Now: func() time.Time { return now }})
			require.NoError(b, err)
			defer r.Close()
			require.NoError(b, r.Tick(b.Context()))
			random := rand.New(rand.NewPCG(1, 1))
			changed, from := 0, r.size
			other := make([]byte, 64<<20)
			var cpu []float64
			b.ResetTimer()
			for range b.N {
				for i := 0; i < len(other); i += 64 {
					other[i]++
				}
				for i := range len(words) * percent / 100 { // other ones each time
					j := i + random.IntN(len(words)-i)
					words[i], words[j] = words[j], words[i]
					words[i][mpm.CellCounterInts] += 1 + random.Uint64N(20)
					changed++
				}
				now = now.Add(time.Second)
				from := cpuTime()
				require.NoError(b, r.Tick(b.Context()))
				cpu = append(cpu, float64(cpuTime()-from))
			}
			b.StopTimer()
			b.ReportMetric(mean(cpu)/1e7, "%core")
			b.ReportMetric(median(cpu)/1e7, "%core-median")
			b.ReportMetric(float64(r.size-from)/float64(changed), "B/change")
			b.ReportMetric(float64(r.written.Load())/float64(b.N), "B-written/op")
		})
	}
}

func mean(v []float64) (sum float64) {
	for _, one := range v {
		sum += one
	}
	return sum / float64(len(v))
}

// manyCounters makes a process with 100,000 counters, and returns their words.
func manyCounters(b *testing.B) (dir string, words [][]uint64) {
	dir = b.TempDir()
	s, err := mpm.Create(dir, mpm.Options{Label: "w"})
	require.NoError(b, err)
	f, err := s.AddSchema(&metric.Schema{Name: "requests", Help: "H.", Type: metric.Counter, Labels: []string{"path", "code"}})
	require.NoError(b, err)
	words = make([][]uint64, 100_000)
	for i := range words {
		one, err := s.AddSeries(f, []string{fmt.Sprint("/page/", i/5), fmt.Sprint(200 + i%5)}, nil)
		require.NoError(b, err)
		words[i] = one.Words()
	}
	return dir, words
}

func openBench(b *testing.B, dir string) *aggregate.Aggregator {
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { a.Close() })
	return a
}
