package textparse

import (
	"bytes"
	"io"
	"strconv"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/metric"
)

// manySeries returns families like those of a scrape: counters, gauges and histograms
// of 15 buckets, n series of each.
func manySeries(n int) []*metric.Family {
	bounds := []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	buckets := metric.Cumulate(bounds, make([]uint64, len(bounds)+1))
	var families []*metric.Family
	for i, typ := range []metric.Type{metric.Counter, metric.Gauge, metric.Histogram} {
		f := &metric.Family{Name: "family_" + strconv.Itoa(i), Help: "Help.", Type: typ}
		for j := range n {
			f.Series = append(f.Series, metric.Series{
				Labels: metric.MakeLabels("method", "GET", "path", "/item/"+strconv.Itoa(j)),
				Value:  float64(j) * 1.37, Buckets: buckets, Sum: 1234.5,
			})
		}
		families = append(families, f)
	}
	return families
}

func BenchmarkParse(b *testing.B) {
	families := manySeries(1000)
	text, err := exposition.Append(nil, families, exposition.Options{})
	require.NoError(b, err)
	openMetrics := []byte(writeOpenMetrics(families))
	run := func(name string, input []byte, parse func(io.Reader) error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				if err := parse(bytes.NewReader(input)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("text", text, func(r io.Reader) error {
		_, err := Parse(r, Options{})
		return err
	})
	run("openmetrics", openMetrics, func(r io.Reader) error {
		_, err := Parse(r, Options{Format: OpenMetrics})
		return err
	})
	run("expfmt", text, func(r io.Reader) error {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		_, err := parser.TextToMetricFamilies(r)
		return err
	})
}
