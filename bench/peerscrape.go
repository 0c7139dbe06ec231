package main

import (
	"bytes"
	"fmt"

	vm "github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// peerScrapeRows are scrapes of one process with 100,000 counters: multiprom's are in a
// file, the peers' on the heap.
func peerScrapeRows(b *bench) {
	b.extra("warm scrape, 100,000 counters, 1 process", func() row {
		n := b.scaled(100_000)
		ours := newScraper(handler(b.aggregator(b.newFleet(shape{Workers: 1, Counters: n}).Dir)), acceptText, "")
		names := []string{"path", "code"}
		registry := prometheus.NewRegistry()
		golang := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests served."}, names)
		registry.MustRegister(golang)
		golangScraper := newScraper(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), acceptText, "")
		victoria := vm.NewSet()
		reader := metric.NewManualReader()
		otelCounter := must(metric.NewMeterProvider(metric.WithCardinalityLimit(-1), metric.WithReader(reader)).Meter("bench").Int64Counter("requests"))
		for i := range n {
			path := fmt.Sprintf("/some/path/%07d", i)
			golang.WithLabelValues(path, "200").Add(float64(i))
			victoria.NewCounter(`requests_total{path="` + path + `",code="200"}`).Set(uint64(i))
			otelCounter.Add(background, int64(i), attributes(names, []string{path, "200"}))
		}
		var collected metricdata.ResourceMetrics
		return row{parts: n, part: "line", ours: loop("", func(n int) {
			for range n {
				ours.scrape()
			}
		}), others: []other{
			{side: loop(clientGolang, func(n int) {
				for range n {
					golangScraper.scrape()
				}
			})},
			{side: loop(victoriaMetrics, func(n int) {
				var sent bytes.Buffer
				for range n {
					sent.Reset()
					victoria.WritePrometheus(&sent)
				}
			})},
			{side: loop(openTelemetry+", no text", func(n int) {
				for range n {
					check(reader.Collect(background, &collected))
				}
			})},
		}}
	})
}
