// Package promhttp is client_golang's package promhttp with a [Handler] that
// serves prom.DefaultGatherer: with PROMETHEUS_MULTIPROC_DIR set, the merged view
// of all processes. All else is that package's own, and takes the metrics of
// package prom as they are.
package promhttp
