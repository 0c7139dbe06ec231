// Package promauto is client_golang's package promauto over the constructors of
// package prom: each metric is registered when it is made, and a failure to do so
// is a panic.
//
//	var jobs = promauto.NewCounter(prom.CounterOpts{Name: "jobs_total", Help: "Jobs done."})
//
// The package-level functions register with prom.DefaultRegisterer, those of
// [With] with any other Registerer. [From] takes a prom.Factory, for gauges with
// a mode:
//
//	promauto.From(prom.WithMode(prom.ModeMax), reg).NewGauge(…)
package promauto
