package glance

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/registry"
)

// BenchmarkRefresh compares a refresh of the status page of 10,000 merged series with scrapes of the
// same directory, all compressed, in turns. A fortieth of the series has changed before each.
// x/scrape is the ratio to what `mpctl serve` has at /metrics, which reads /proc of each worker,
// x/merged that to a scrape of the merged metrics alone: ratios of the medians of the CPU time.
func BenchmarkRefresh(b *testing.B) {
	for _, workers := range []int{4, 200} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			dir := b.TempDir()
			words := append(fill(b, dir, 2, 20, 500), fill(b, dir, workers-2, 20, 5)...)
			a, err := aggregate.Open(dir, aggregate.Options{})
			require.NoError(b, err)
			defer a.Close()
			now := time.Unix(10_000, 0)
			s := NewSite(a, SiteOptions{})
			s.watcher.opts.Now = func() time.Time { return now }
			h, merged := exposition.HandlerFor(registry.Directory(a), exposition.HandlerOptions{}), exposition.HandlerFor(a, exposition.HandlerOptions{})
			var took [3][]float64
			do := func(side, round int, fn func()) {
				for w := (round + side) % 7; w < len(words); w += 40 {
					words[w][mpm.CellCounterInts] += uint64(w + round)
				}
				began := cpuTime()
				fn()
				took[side] = append(took[side], float64(cpuTime()-began))
			}
			serve := func(h http.Handler) *httptest.ResponseRecorder {
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Accept-Encoding", "gzip")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Equal(b, 200, w.Code)
				return w
			}
			for i := range b.N + trendPoints {
				if i == trendPoints {
					took = [3][]float64{}
					b.ResetTimer()
				}
				now = now.Add(5 * time.Second)
				do(0, i, func() { serve(h) })
				now = now.Add(5 * time.Second)
				do(1, i, func() { serve(merged) })
				now = now.Add(5 * time.Second)
				do(2, i, func() { serve(http.HandlerFunc(s.page)) })
			}
			page := s.last.text
			b.StopTimer()
			b.ReportMetric(median(took[2])/median(took[0]), "x/scrape")
			b.ReportMetric(median(took[2])/median(took[1]), "x/merged")
			b.ReportMetric(median(took[0])/1e3, "us-scrape")
			b.ReportMetric(float64(len(page)), "B-page")
			b.ReportMetric(float64(len(packed(b, page))), "B-gzip")
		})
	}
}

// cpuTime returns the CPU time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func packed(t testing.TB, page []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(page)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}
