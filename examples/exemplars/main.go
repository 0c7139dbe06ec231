// Exemplars leads from a slow request in a graph to its trace. Each request observes its
// duration with the trace ID that came with it; of all processes the newest exemplar of
// each bucket is shown.
//
// Prometheus keeps them if it runs with --enable-feature=exemplar-storage, and asks for
// OpenMetrics or protobuf by itself.
//
//	go -C examples run ./exemplars 127.0.0.1:8080
//	curl -H "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" 127.0.0.1:8080
//	curl -H "Accept: application/openmetrics-text" 127.0.0.1:8080/metrics
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/multiprom/multiprom"
	"github.com/multiprom/multiprom/multiproc"
)

var seconds = multiproc.NewHistogram(multiproc.HistogramOpts{
	Name: "request_seconds", Help: "Duration of requests.", Unit: "seconds", Buckets: []float64{0.1, 1, 10},
})

func main() {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		fmt.Fprintln(w, "hello")
		took := time.Since(began).Seconds()
		if id := traceID(r); id != "" {
			seconds.ObserveWithExemplar(took, multiproc.Labels{"trace_id": id})
		} else {
			seconds.Observe(took)
		}
	})
	http.Handle("/metrics", multiprom.Handler())
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}

// traceID returns the trace ID of the W3C header traceparent, if the trace is kept.
func traceID(r *http.Request) string {
	parts := strings.Split(r.Header.Get("traceparent"), "-")
	if len(parts) != 4 || len(parts[1]) != 32 || parts[3] != "01" {
		return ""
	}
	return parts[1]
}
