package record

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/registry"
)

// BenchmarkScrapeBeside compares scrapes of 100,000 counters, of which 5% change each second,
// with and without a recorder beside them, in turns. x/cpu is the ratio of the CPU time of
// scrapes, x/clock that of their duration.
func BenchmarkScrapeBeside(b *testing.B) {
	for _, seconds := range []int{1, 15} { // between two scrapes
		b.Run(fmt.Sprintf("every=%ds", seconds), func(b *testing.B) {
			dir, words := manyCounters(b)
			a := openBench(b, dir)
			now := time.UnixMilli(1_000_000)
			r, err := Open(filepath.Join(b.TempDir(), "r"), a, Options{Keep: 1000 * time.Hour, Now: func() time.Time { return now }})
			require.NoError(b, err)
			defer r.Close()
			h := exposition.HandlerFor(registry.Directory(a), exposition.HandlerOptions{})
			random := rand.New(rand.NewPCG(1, 1))
			var cpu, clock [2][]float64
			scrape := func(recorded int) {
				for range seconds {
					for i := range len(words) / 20 {
						if i == len(words)/40 && recorded == 1 { // half of them after the tick
							now = now.Add(time.Second)
							require.NoError(b, r.Tick(b.Context()))
						}
						words[random.IntN(len(words))][mpm.CellCounterInts]++
					}
				}
				w := httptest.NewRecorder()
				w.Body.Grow(8 << 20)
				began, from := time.Now(), cpuTime()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
				cpu[recorded] = append(cpu[recorded], float64(cpuTime()-from))
				clock[recorded] = append(clock[recorded], float64(time.Since(began)))
				require.Equal(b, 200, w.Code)
			}
			for range b.N {
				for _, recorded := range []int{0, 1} {
					scrape(recorded)
					last := len(cpu[recorded]) - 1
					cpu[recorded], clock[recorded] = cpu[recorded][:last], clock[recorded][:last] // it is still as before
					scrape(recorded)
					scrape(recorded)
				}
			}
			for name, of := range map[string][2][]float64{"x/cpu": cpu, "x/clock": clock} {
				b.ReportMetric(median(of[1])/median(of[0]), name)
			}
			b.ReportMetric(median(cpu[0])/1e6, "ms-alone")
		})
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// cpuTime returns the CPU time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
