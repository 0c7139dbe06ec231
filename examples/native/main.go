// Native serves requests and measures how long they take in a native histogram: no buckets are
// chosen, and all processes of a directory have one histogram together. Start it several times:
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./native 127.0.0.1:8081
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./native 127.0.0.1:8082
//	curl '127.0.0.1:8081/?seconds=0.02'
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go run ./cmd/mpctl dump --format openmetrics2 request_duration_seconds
//
// Then let Prometheus scrape one of them, or mpctl serve. docs/native_histograms.md says what it
// has to be told.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var (
	requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests served."})
	duration = multiproc.NewHistogram(multiproc.HistogramOpts{
		Name: "request_duration_seconds", Help: "How long requests took.", Unit: "seconds",
		NativeHistogramBucketFactor: 1.1, // a bucket is at most 10% wider than the one before
	})
)

func main() {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64) // instead of any work
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if trace := r.FormValue("trace"); trace != "" {
			duration.ObserveWithExemplar(seconds, multiproc.Labels{"trace_id": trace})
		} else {
			duration.Observe(seconds)
		}
		requests.Inc()
		fmt.Fprintln(w, "hello")
	})
	http.Handle("/metrics", exposition.Handler(registry.Default()))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
