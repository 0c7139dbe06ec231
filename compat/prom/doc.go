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
// # Without a directory
//
// Without PROMETHEUS_MULTIPROC_DIR, the constructors return client_golang's own
// metrics, and registries are client_golang's. The environment counts when a metric
// is made.
//
// # In a directory
//
// The types are client_golang's own: *CounterVec is *prometheus.CounterVec, made
// with prometheus.NewMetricVec, Counter is prometheus.Counter. So they go where
// client_golang's go: into promhttp's instrumentation, into any Registerer, into
// testutil, into libraries. Their Write gives what this process has counted.
//
// [Registry] is the exception: it has client_golang's inside, and shows the metrics
// that are registered with it as all processes have them. [DefaultRegisterer] and
// [DefaultGatherer] are one.
//
// Buckets, panics, errors of registration and the rules of labels are
// client_golang's, because client_golang makes its own metric first, and its registry
// registers.
//
// # Factories
//
// The package-level constructors are those of the [Default] [Factory]. [New]
// makes one over another multiproc.Set. [WithMode] gives gauges a mode; without,
// [ModeByName] chooses it.
//
// # One name, several metrics
//
// Each call of a constructor makes a metric of its own, as in client_golang. Two of
// one name, in two registries, are both in the store, the second as x_registry_2.
// Each registry shows its own as x. [Shared] gives equal definitions one metric.
//
// # Deletion
//
// A MetricVec tells nobody what was deleted from it. The Factory compares it
// with the store every 5 s (Options.Period), and when this process serves a merged
// view or [Reconcile] is called; until then, the merged view has the deleted series.
// One that is made again begins at 0 at once.
//
// # Concurrency
//
// Everything is safe for concurrent use. An update is multiproc's: an atomic
// operation on mapped memory. With client_golang's interface in front of it, Inc has
// two loads more than client_golang's own; Observe takes a third of its time. A lookup
// is client_golang's. A Write beside an Observe may have its value in the sum and not
// yet in a bucket; client_golang waits for it.
//
// # Caveats
//
// docs/client_golang.md lists all that differs. The main things, in a directory:
// summaries have no quantiles, native histograms are never reset; what a file cannot hold
// is of this process only. multiprom_compat_losses_total counts it, and the log says
// it once of each kind.
package prom
