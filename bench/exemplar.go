package main

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/multiproc"
)

// exemplarRows are updates with the trace id of a request. The program creates the
// exemplar's labels for each update.
func exemplarRows(b *bench) {
	set := sync.OnceValue(b.newSet)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	b.extra("Counter.AddWithExemplar", func() row {
		ours := multiproc.MustNew(set().NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
		golang := prometheus.NewCounter(prometheus.CounterOpts{Name: "c"}).(prometheus.ExemplarAdder)
		return row{ours: loop("", func(n int) {
			for range n {
				ours.AddWithExemplar(1, multiproc.Labels{"trace_id": trace})
			}
		}), others: []other{{side: loop(clientGolang, func(n int) {
			for range n {
				golang.AddWithExemplar(1, prometheus.Labels{"trace_id": trace})
			}
		})}}}
	})
	b.extra("Histogram.ObserveWithExemplar", func() row {
		ours := multiproc.MustNew(set().NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: bounds}))
		golang := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: bounds}).(prometheus.ExemplarObserver)
		return row{ours: loop("", func(n int) {
			for range n {
				ours.ObserveWithExemplar(0.3, multiproc.Labels{"trace_id": trace})
			}
		}), others: []other{{side: loop(clientGolang, func(n int) {
			for range n {
				golang.ObserveWithExemplar(0.3, prometheus.Labels{"trace_id": trace})
			}
		})}}}
	})
}
