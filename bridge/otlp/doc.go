// Package otlp sends metrics to an OpenTelemetry Collector, to Prometheus or to any other
// receiver of OTLP over HTTP, in protobuf with gzip.
//
//	e, err := otlp.New(otlp.Options{
//		Options:  delivery.Options{URL: "http://collector:4318"},
//		Resource: map[string]string{"service.name": "shop"},
//	})
//	if err != nil {
//		return err
//	}
//	go e.Run(ctx, registry.Default()) // every 15 seconds until ctx ends
//
// [Exporter.Push] sends once. Package delivery says how requests are repeated, and what a queue
// does. An Exporter is a gather.Gatherer of its own metrics.
//
// # One writer
//
// OTLP wants a single writer for each series. An OpenTelemetry SDK in each of many prefork
// processes breaks that, unless each has a service.instance.id of its own, and then every
// restart is a new series. One Exporter for the merged view of all processes keeps it.
//
// # What becomes what
//
//	counter             monotonic cumulative sum
//	gauge, unknown      gauge
//	info, state set     cumulative sum that is not monotonic, as the specification says
//	histogram           cumulative histogram with explicit bounds
//	native histogram    cumulative exponential histogram, also if it has classic buckets too
//	gauge histogram     gauges _bucket, _gcount and _gsum, since OTLP has none
//	summary             summary
//
// Metrics have the names of their samples, with _total and _info, so that a receiver that adds
// no suffix stores them under the names of a scrape. Units become those of UCUM where that has
// them. Created times are start times. Exemplars have trace_id and span_id as such if they are
// hexadecimal of the right length.
//
// An exponential histogram has the native buckets, the scale is the schema. OTLP has no buckets
// for infinities and NaN: these observations are not in the count, and there is no sum if it is
// not finite. If more than 1,280 buckets lie between the first and the last one, the scale is
// lowered. Prometheus 3.16 does not read the zero threshold and stores 1e-128 instead.
//
// A series that leaves the view gets a point with the flag "no recorded value", which
// Prometheus takes as a staleness marker. So do all series when Run ends.
package otlp
