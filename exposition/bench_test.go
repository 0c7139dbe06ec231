package exposition

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// manySeries returns about n series of counters, gauges and histograms.
func manySeries(n int) []*metric.Family {
	var families []*metric.Family
	bounds := []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	counts := make([]uint64, len(bounds)+1)
	for i := range counts {
		counts[i] = uint64(i * 37)
	}
	buckets := metric.Cumulate(bounds, counts)
	for i, typ := range []metric.Type{metric.Counter, metric.Gauge, metric.Histogram} {
		f := one(fmt.Sprintf("family_%d", i), typ)
		for j := range n / 3 {
			f.Series = append(f.Series, metric.Series{
				Labels:  metric.MakeLabels("method", "GET", "path", "/item/"+strconv.Itoa(j)),
				Value:   float64(j) * 1.37,
				Buckets: buckets, Count: buckets[len(bounds)].Count, Sum: 1234.5,
				Created: time.Unix(1700000000, 0),
			})
		}
		families = append(families, f)
	}
	return families
}

// The figure to watch is ns/line: a histogram series has 17 lines.
func BenchmarkAppend(b *testing.B) {
	families := manySeries(10_000)
	var buf []byte
	lines := 0
	for _, c := range mustAppend(b, families) {
		if c == '\n' {
			lines++
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = Append(buf[:0], families, Options{})
	}
	b.SetBytes(int64(len(buf)))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
}

func BenchmarkEncode(b *testing.B) {
	families := manySeries(10_000)
	for _, c := range []*coding{nil, gzipCoding, zstdCoding} {
		name := "identity"
		if c != nil {
			name = c.name
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(mustAppend(b, families))))
			b.ReportAllocs()
			write := func(w io.Writer) error { return Encode(w, families, Options{}) }
			for b.Loop() {
				if c == nil {
					_ = write(io.Discard)
				} else {
					_ = c.compress(io.Discard, write)
				}
			}
		})
	}
}

// Escaped names cost a copy of each label set; this says how much.
func BenchmarkAppendEscaped(b *testing.B) {
	families := manySeries(10_000)
	for _, f := range families {
		for i := range f.Series {
			f.Series[i].Labels = f.Series[i].Labels.With("http.path", "x")
		}
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = Append(buf[:0], families, Options{})
	}
}

func mustAppend(tb testing.TB, families []*metric.Family) []byte {
	tb.Helper()
	text, err := Append(nil, families, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// What Prometheus 2 and 3 ask for, with an exemplar on each counter.
func BenchmarkAppendOpenMetrics(b *testing.B) {
	families := manySeries(10_000)
	for i := range families[0].Series {
		families[0].Series[i].Exemplar = &metric.Exemplar{Labels: metric.MakeLabels("trace_id", "0123456789abcdef"), Value: 1, Timestamp: time.Unix(1700000000, 1e6)}
	}
	for _, opts := range []Options{open1, open1q} {
		b.Run(escapingNames[opts.ContentType.escaping()], func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = Append(buf[:0], families, opts)
			}
			b.SetBytes(int64(len(buf)))
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bytes.Count(buf, []byte("\n"))), "ns/line")
		})
	}
}

// The number of allocations must not depend on the number of series.
func TestAllocationsDoNotGrow(t *testing.T) {
	families := manySeries(3_000)
	for i := range families[0].Series {
		families[0].Series[i].Exemplar = &metric.Exemplar{Labels: metric.MakeLabels("trace_id", "x"), Timestamp: time.Unix(5, 1)}
	}
	for _, opts := range []Options{created, quoted, open1, open1q, protobuf} {
		buf, err := Append(nil, families, opts)
		if err != nil {
			t.Fatal(err)
		}
		allocs := testing.AllocsPerRun(5, func() { buf, _ = Append(buf[:0], families, opts) })
		if allocs > 50 {
			t.Errorf("%s: %v allocations for 3 families, at most 50 are expected", opts.ContentType.String(), allocs)
		}
	}
}
