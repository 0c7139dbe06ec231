package main

import (
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/compat/prom"
)

// compatRows compare client_golang's types over the store with the same types on the
// heap: what a program pays for replacing its import.
func compatRows(b *bench) {
	factory := sync.OnceValue(func() *prom.Factory {
		f := prom.New(b.newSet(), prom.Options{})
		b.onClose(f.Close)
		return f
	})
	b.goal("Counter.Inc", func() row {
		opts := prometheus.CounterOpts{Name: "inc_total", Help: "C."}
		ours, golang := factory().NewCounter(opts), prometheus.NewCounter(opts)
		return row{noAllocs: true, ours: loop("", func(n int) {
			for range n {
				ours.Inc()
			}
		}), others: []other{{goal: 1, side: loop(clientGolang, func(n int) {
			for range n {
				golang.Inc()
			}
		})}}}
	})
	b.goal("Histogram.Observe, random values", func() row {
		values := make([]float64, b.scaled(1<<20))
		for i := range values {
			values[i] = rand.ExpFloat64()
		}
		opts := prometheus.HistogramOpts{Name: "observe", Help: "H.", Buckets: bounds}
		ours, golang := factory().NewHistogram(opts), prometheus.NewHistogram(opts)
		return row{noAllocs: true, ours: cycle("", len(values), func(from, to int) {
			for _, v := range values[from:to] {
				ours.Observe(v)
			}
		}), others: []other{{goal: 0.6, side: cycle(clientGolang, len(values), func(from, to int) {
			for _, v := range values[from:to] {
				golang.Observe(v)
			}
		})}}}
	})
	b.goal("WithLabelValues (2 labels) + Inc, 1,000 series", func() row {
		opts := prometheus.CounterOpts{Name: "lookup_total", Help: "C."}
		ours, golang := factory().NewCounterVec(opts, labelNames[:2]), prometheus.NewCounterVec(opts, labelNames[:2])
		paths := make([]string, b.scaled(1_000))
		for i, at := range rand.Perm(len(paths)) {
			paths[at] = "/path/" + strconv.Itoa(i)
		}
		return row{noAllocs: true, ours: cycle("", len(paths), func(from, to int) {
			for _, path := range paths[from:to] {
				ours.WithLabelValues("GET", path).Inc()
			}
		}), others: []other{{goal: 1, side: cycle(clientGolang, len(paths), func(from, to int) {
			for _, path := range paths[from:to] {
				golang.WithLabelValues("GET", path).Inc()
			}
		})}}}
	})
}
