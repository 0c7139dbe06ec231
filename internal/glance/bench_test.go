package glance

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
)

// BenchmarkRefresh is a refresh of the status page of 10,000 merged series. ns-scrape is what a
// scrape of as many changes takes.
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
			var scraped, rendered time.Duration
			var page []byte
			for i := range b.N + trendPoints {
				if i == trendPoints {
					scraped, rendered = 0, 0
					b.ResetTimer()
				}
				b.StopTimer()
				now = now.Add(5 * time.Second)
				change := func() {
					for w := i % 7; w < len(words); w += 40 {
						words[w][mpm.CellCounterInts] += uint64(w + i)
					}
				}
				change()
				began := time.Now()
				views.Show(b.Context(), a, func(_ []views.Family, err error) { require.NoError(b, err) })
				scraped += time.Since(began)
				change()
				b.StartTimer()
				p, err := s.watcher.Look(b.Context())
				require.NoError(b, err)
				began = time.Now()
				page = s.render(p, url.Values{})
				rendered += time.Since(began)
			}
			b.ReportMetric(float64(scraped)/float64(b.N), "ns-scrape")
			b.ReportMetric(float64(rendered)/float64(b.N), "ns-render")
			b.ReportMetric(float64(len(page)), "B-page")
			b.ReportMetric(float64(len(packed(b, page))), "B-gzip")
		})
	}
}

func packed(t testing.TB, page []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(page)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}
