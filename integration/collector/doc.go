// Package collector has no code. Its test runs a real OpenTelemetry Collector in its own process,
// sends to it by `mpctl otlp`, and compares every point that leaves its pipeline with the merged
// view. It is a module of its own, because a Collector has many dependencies.
package collector
