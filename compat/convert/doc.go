// Package convert joins this module's view of metrics and client_golang's:
// [ToPrometheus] makes any gather.Gatherer, such as the merged view of a
// directory, a prometheus.Gatherer, for promhttp.HandlerFor, push and testutil;
// [FromCollector] and [FromGatherer] make what client_golang collects a
// registry.Collector.
//
//	view := convert.ToPrometheus(registry.Default())
//	http.Handle("/metrics", promhttp.HandlerFor(view, promhttp.HandlerOpts{}))
//
//	disk, err := convert.FromCollector(newDiskCollector())
//	registry.Default().MustRegister(disk)
//
// # Names
//
// A family of ours is named as OpenMetrics has it, one of client_golang as the
// text format has it: requests and requests_total are the same counter. A
// counter of client_golang without the suffix gets it.
//
// # What a collector says in a directory
//
// A collector runs in the process that answers the scrape. That is right for
// what is the same in all of them, such as the size of a database. What belongs
// to one process, such as its connections, needs instruments, or a publisher
// that writes it to the store: package compat/publish.
//
// # Caveats
//
// A gauge histogram loses its native buckets. A histogram whose counts
// are no integers is an error and left out.
package convert
