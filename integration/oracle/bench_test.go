package oracle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/otlp"
	"github.com/multiprom/multiprom/bridge/remotewrite"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// taker answers each request at once, as a receiver that has stored everything.
type taker struct{ bytes int }

func (x *taker) RoundTrip(r *http.Request) (*http.Response, error) {
	n, err := io.Copy(io.Discard, r.Body)
	x.bytes += int(n)
	h := http.Header{"X-Prometheus-Remote-Write-Samples-Written": {"2000"}}
	return &http.Response{StatusCode: http.StatusNoContent, Header: h, Body: io.NopCloser(bytes.NewReader(nil))}, err
}

// merged is the view of a directory with so many samples: counters and histograms.
func merged(b *testing.B, samples int) *aggregate.Aggregator {
	b.Helper()
	dir := b.TempDir()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir, MaxSeries: metric.NoLimit})
	c := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "requests", Help: "R."}, []string{"path", "code"}))
	h := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "latency_seconds", Help: "L."}, []string{"path"}))
	for i := range samples / 28 {
		path := fmt.Sprintf("/some/path/number/%d", i)
		for code := range 14 {
			c.WithLabelValues(path, fmt.Sprint(200+code)).Add(float64(i))
		}
		h.WithLabelValues(path).Observe(float64(i % 10))
	}
	require.NoError(b, set.Close())
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { a.Close() })
	return a
}

// prompbEncode makes requests of 2,000 series with Prometheus' own messages and symbol table.
func prompbEncode(b *testing.B, families []*metric.Family, at int64) (samples, size int) {
	var req writev2.Request
	symbols := writev2.NewSymbolTable()
	flush := func() {
		req.Symbols = symbols.Symbols()
		raw, err := req.Marshal()
		require.NoError(b, err)
		size += len(snappy.Encode(nil, raw))
		req.Timeseries = req.Timeseries[:0]
		symbols.Reset()
	}
	types := map[metric.Type]writev2.Metadata_MetricType{metric.Counter: writev2.Metadata_METRIC_TYPE_COUNTER, metric.Histogram: writev2.Metadata_METRIC_TYPE_HISTOGRAM, metric.Gauge: writev2.Metadata_METRIC_TYPE_GAUGE}
	for _, f := range families {
		for i := range f.Series {
			one := *f
			one.Series = f.Series[i : i+1]
			for s := range one.Samples() {
				ts := writev2.TimeSeries{LabelsRefs: make([]uint32, 0, 2*len(s.Labels)+2)}
				ts.LabelsRefs = append(ts.LabelsRefs, symbols.Symbolize("__name__"), symbols.Symbolize(s.Name))
				for _, l := range s.Labels {
					ts.LabelsRefs = append(ts.LabelsRefs, symbols.Symbolize(l.Name), symbols.Symbolize(l.Value))
				}
				ts.Samples = []writev2.Sample{{Value: s.Value, Timestamp: at, StartTimestamp: f.Series[i].Created.UnixMilli()}}
				ts.Metadata = writev2.Metadata{Type: types[f.Type], HelpRef: symbols.Symbolize(f.Help)}
				req.Timeseries = append(req.Timeseries, ts)
				samples++
				if len(req.Timeseries) == 2000 {
					flush()
				}
			}
		}
	}
	flush()
	return samples, size
}

// BenchmarkEncode: what a round costs, from the merged directory to compressed requests, beside
// the messages of Prometheus on the same families.
func BenchmarkEncode(b *testing.B) {
	for _, samples := range []int{28_000, 280_000} {
		a := merged(b, samples)
		families, err := a.Gather(b.Context())
		require.NoError(b, err)
		total, _ := prompbEncode(b, families, 1)
		report := func(b *testing.B, size int) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*total), "ns/sample")
			b.ReportMetric(float64(size)/float64(b.N*total), "bytes/sample")
		}
		run := func(name string, push func(context.Context, gather.Gatherer) error, sent *taker) {
			b.Run(fmt.Sprintf("%d/%s", samples, name), func(b *testing.B) {
				b.ReportAllocs()
				require.NoError(b, push(b.Context(), a))
				sent.bytes = 0
				b.ResetTimer()
				for range b.N {
					require.NoError(b, push(b.Context(), a))
				}
				report(b, sent.bytes)
			})
		}
		sent := &taker{}
		opts := delivery.Options{URL: "http://receiver", Client: &http.Client{Transport: sent}, Now: time.Now}
		for _, version := range []string{"2.0", "1.0"} {
			w, err := remotewrite.New(remotewrite.Options{Options: opts, Protocol: version})
			require.NoError(b, err)
			run("remote write "+version, w.Push, sent)
		}
		e, err := otlp.New(otlp.Options{Options: opts})
		require.NoError(b, err)
		run("OTLP", e.Push, sent)
		b.Run(fmt.Sprintf("%d/prompb", samples), func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for i := range b.N {
				_, n := prompbEncode(b, families, int64(i))
				size += n
			}
			report(b, size)
		})
	}
}
