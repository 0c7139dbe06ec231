// Package prom is client_golang's package prometheus over cells of the store:
// a file that imports it in place of
// github.com/prometheus/client_golang/prometheus counts in this process's file,
// and one merged view has the values of all processes.
//
//	import (
//		prometheus "github.com/multiprom/multiprom/compat/prom"
//		"github.com/multiprom/multiprom/compat/prom/promauto"
//		"github.com/multiprom/multiprom/compat/prom/promhttp"
//	)
//
//	var requests = promauto.NewCounterVec(prometheus.CounterOpts{
//		Name: "http_requests_total", Help: "HTTP requests served.",
//	}, []string{"method", "code"})
//
//	http.Handle("/metrics", promhttp.Handler())
//
// The types are client_golang's own: *CounterVec is *prometheus.CounterVec, made
// with prometheus.NewMetricVec, Counter is prometheus.Counter. So they go where
// client_golang's go: into promhttp's instrumentation, into any Registerer, into
// testutil, into libraries. Their Write gives what this process has counted;
// [DefaultGatherer] and the promhttp package beside this one give the merged view.
// Without PROMETHEUS_MULTIPROC_DIR, values are on the heap and the views are the
// same.
//
// Buckets, panics, errors of registration and the rules of labels are
// client_golang's, because client_golang makes its own metric first.
//
// # The types
//
// The package-level constructors are those of the [Default] [Factory]. [New]
// makes one over another multiproc.Set. [WithMode] gives gauges a mode; without,
// [ModeByName] chooses it.
//
// # Deletion
//
// A MetricVec tells nobody what was deleted from it. The Factory compares it
// with the store every 5 s (Options.Period), and when this process serves
// [DefaultGatherer] or [Reconcile] is called; until then, the merged view has the
// deleted series. One that is made again begins at 0 at once.
//
// # Concurrency
//
// Everything is safe for concurrent use. An update is multiproc's: an atomic
// operation on mapped memory. Behind client_golang's interface, Inc has two loads
// more than client_golang's own; Observe takes a third of its time. A lookup is
// client_golang's. A Write beside an Observe may have its value in the sum and not
// yet in a bucket; client_golang waits for it.
//
// # Caveats
//
// docs/client_golang.md lists all that differs. The main things: summaries
// have no quantiles, histograms no native buckets; a metric is in the merged view
// from its declaration on, registered or not; counters and untyped metrics of a
// function are of this process only; equal definitions are one metric, and two
// that contradict each other are a panic where the second one is made.
package prom
