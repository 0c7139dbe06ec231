package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
	writev1 "github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	otelmetric "go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/otlp"
	"github.com/multiprom/multiprom/bridge/remotewrite"
	"github.com/multiprom/multiprom/metric"
)

const (
	prompb            = "prometheus/prometheus prompb"
	openTelemetryHTTP = openTelemetry + " and otlpmetrichttp"
)

// exitRows send the view of a directory: half of its samples are counters, the others are
// histograms. Between two rounds 5% of the series change. The requests go nowhere.
func exitRows(b *bench) {
	s := b.sharedShape(1, 100_000)
	fleet := sync.OnceValue(func() *fleet { return b.newFleet(s) })
	ours := func(push pusher) side {
		a := b.aggregator(fleet().Dir)
		return side{
			prepare: func() { fleet().change(0.05, true) },
			run:     func(int) { check(push(a)) },
		}
	}
	families := sync.OnceValue(func() []*metric.Family { return must(b.aggregator(fleet().Dir).Gather(background)) })
	samples := sync.OnceValue(func() (n int) {
		for _, f := range families() {
			for range f.Samples() {
				n++
			}
		}
		return n
	})
	for _, version := range []string{"2.0", "1.0"} {
		b.goal("remote write "+version, func() row {
			return row{
				once: true, parts: samples(), part: "sample", ours: ours(remoteWrite(version, nowhere())),
				others: []other{{goal: 0.2, side: side{name: prompb, run: newPrompb(families(), version).run}}},
			}
		})
	}
	b.goal("OTLP", func() row {
		return row{
			once: true, parts: samples(), part: "sample", ours: ours(overOTLP(nowhere())),
			others: []other{
				{goal: 0.2, side: side{name: openTelemetryHTTP, run: newOTel(s).run}},
				{side: side{name: prompb, run: newPrompb(families(), "2.0").run}}, // another protocol
			},
		}
	})
	for _, x := range []struct {
		name string
		open func(o delivery.Options) pusher
	}{
		{"remote write 2.0", func(o delivery.Options) pusher { return remoteWrite("2.0", o) }},
		{"remote write 1.0", func(o delivery.Options) pusher { return remoteWrite("1.0", o) }},
		{"OTLP", overOTLP},
	} {
		b.figure(x.name+": allocations, 50,000 series in one request", func() figure {
			allocations := func(n int) float64 {
				o := nowhere()
				o.MaxSamples, o.MaxBytes = 1<<30, 1<<30
				push, a := x.open(o), b.aggregator(b.newFleet(shape{Workers: 1, Counters: n}).Dir)
				once := side{run: func(int) { check(push(a)) }}
				once.run(1)
				allocs, _ := once.allocations(1)
				return allocs
			}
			return figure{ours: allocations(b.scaled(50_000)), other: "1,000 series", value: allocations(b.scaled(1_000)), goal: 1.1}
		})
	}
}

// pusher is an exit that sends once.
type pusher func(a *aggregate.Aggregator) error

func remoteWrite(version string, o delivery.Options) pusher {
	w := must(remotewrite.New(remotewrite.Options{Options: o, Protocol: version}))
	return func(a *aggregate.Aggregator) error { return w.Push(background, a) }
}

func overOTLP(o delivery.Options) pusher {
	e := must(otlp.New(otlp.Options{Options: o}))
	return func(a *aggregate.Aggregator) error { return e.Push(background, a) }
}

// taker takes all requests, as a receiver of remote write 2.0 would.
type taker struct{}

func (taker) RoundTrip(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	h := http.Header{"X-Prometheus-Remote-Write-Samples-Written": {"1000000000"}}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, err
}

func nowhere() delivery.Options {
	return delivery.Options{URL: "http://receiver", Client: &http.Client{Transport: taker{}}}
}

// prompbSender makes requests as Prometheus' queue does: it has the labels of each series, and
// uses its messages and buffers again. It compresses as ours does.
type prompbSender struct {
	series  []prompbSeries
	version string
	raw     []byte
	packed  []byte

	pending []writev2.TimeSeries // of 2.0
	symbols writev2.SymbolsTable

	pending1 []writev1.TimeSeries // of 1.0
}

type prompbSeries struct {
	labels []string // names and values
	value  float64
	start  int64
	typ    writev2.Metadata_MetricType
	help   string
}

func newPrompb(families []*metric.Family, version string) *prompbSender {
	p := &prompbSender{version: version, symbols: writev2.NewSymbolTable()}
	types := map[metric.Type]writev2.Metadata_MetricType{
		metric.Counter: writev2.Metadata_METRIC_TYPE_COUNTER, metric.Gauge: writev2.Metadata_METRIC_TYPE_GAUGE,
		metric.Histogram: writev2.Metadata_METRIC_TYPE_HISTOGRAM,
	}
	for _, f := range families {
		one := *f
		for i := range f.Series {
			one.Series = f.Series[i : i+1]
			for s := range one.Samples() {
				x := prompbSeries{value: s.Value, start: f.Series[i].Created.UnixMilli(), typ: types[f.Type], help: f.Help}
				x.labels = append(x.labels, "__name__", s.Name, "instance", "host", "job", "bench")
				for _, l := range s.Labels {
					x.labels = append(x.labels, l.Name, l.Value)
				}
				p.series = append(p.series, x)
			}
		}
	}
	p.pending, p.pending1 = make([]writev2.TimeSeries, batch), make([]writev1.TimeSeries, batch)
	for i := range batch {
		p.pending[i].Samples, p.pending1[i].Samples = make([]writev2.Sample, 1), make([]writev1.Sample, 1)
	}
	return p
}

const batch = 2000 // as many samples as Prometheus and ours send in a request

func (p *prompbSender) run(n int) {
	client := &http.Client{Transport: taker{}}
	encode := p.encode2
	if p.version == "1.0" {
		encode = p.encode1
	}
	for range n {
		at := time.Now().UnixMilli()
		for some := range slices.Chunk(p.series, batch) {
			encode(some, at)
			p.packed = s2.EncodeSnappy(p.packed[:cap(p.packed)], p.raw)
			post := must(http.NewRequest(http.MethodPost, "http://receiver", bytes.NewReader(p.packed)))
			check(must(client.Do(post)).Body.Close())
		}
	}
}

func (p *prompbSender) encode2(some []prompbSeries, at int64) {
	p.symbols.Reset()
	for i := range some {
		s, ts := &some[i], &p.pending[i]
		ts.LabelsRefs = ts.LabelsRefs[:0]
		for _, text := range s.labels {
			ts.LabelsRefs = append(ts.LabelsRefs, p.symbols.Symbolize(text))
		}
		ts.Samples[0] = writev2.Sample{Value: s.value, Timestamp: at, StartTimestamp: s.start}
		ts.Metadata = writev2.Metadata{Type: s.typ, HelpRef: p.symbols.Symbolize(s.help)}
	}
	request := writev2.Request{Symbols: p.symbols.Symbols(), Timeseries: p.pending[:len(some)]}
	p.raw = must(request.OptimizedMarshal(p.raw))
}

func (p *prompbSender) encode1(some []prompbSeries, at int64) {
	for i := range some {
		s, ts := &some[i], &p.pending1[i]
		ts.Labels = ts.Labels[:0]
		for pair := range slices.Chunk(s.labels, 2) {
			ts.Labels = append(ts.Labels, writev1.Label{Name: pair[0], Value: pair[1]})
		}
		ts.Samples[0] = writev1.Sample{Value: s.value, Timestamp: at}
	}
	request := writev1.WriteRequest{Timeseries: p.pending1[:len(some)]}
	size := request.Size()
	p.raw = slices.Grow(p.raw[:0], size)[:size]
	must(request.MarshalToSizedBuffer(p.raw))
}

// otelSender has the same series in an SDK of OpenTelemetry.
type otelSender struct {
	reader    *sdk.ManualReader
	exporter  *otlpmetrichttp.Exporter
	collected metricdata.ResourceMetrics
}

func newOTel(s shape) *otelSender {
	o := &otelSender{reader: sdk.NewManualReader()}
	o.exporter = must(otlpmetrichttp.New(background, otlpmetrichttp.WithEndpointURL("http://receiver/v1/metrics"),
		otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression), otlpmetrichttp.WithHTTPClient(&http.Client{Transport: taker{}})))
	meter := sdk.NewMeterProvider(sdk.WithCardinalityLimit(-1), sdk.WithReader(o.reader)).Meter("bench")
	counter := must(meter.Float64Counter("requests_total", otelmetric.WithDescription("Requests served.")))
	histogram := must(meter.Float64Histogram("latency_seconds", otelmetric.WithDescription("Time to serve a request."), otelmetric.WithExplicitBucketBoundaries(bounds...)))
	labels := func(i int) otelmetric.MeasurementOption {
		return otelmetric.WithAttributes(attribute.String("path", fmt.Sprintf("/some/path/%07d", i)), attribute.String("code", "200"))
	}
	for i := range s.Counters {
		counter.Add(background, float64(i), labels(i))
	}
	for i := range s.Histograms {
		for _, bound := range bounds {
			histogram.Record(background, bound*1.01, labels(i))
		}
	}
	return o
}

func (o *otelSender) run(n int) {
	for range n {
		check(o.reader.Collect(background, &o.collected))
		check(o.exporter.Export(background, &o.collected))
	}
}
