// Clientgolang is a server that is instrumented with client_golang, in which the
// imports are all that has changed: start several processes, and /metrics of any
// of them has the requests of all.
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C compat run ./examples/clientgolang 127.0.0.1:8081
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C compat run ./examples/clientgolang 127.0.0.1:8082
package main

import (
	"log"
	"net/http"
	"os"

	prometheus "github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
	"github.com/multiprom/multiprom/compat/prom/promhttp"
)

var (
	requests = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "HTTP requests served.",
	}, []string{"code", "method"})
	seconds = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "How long HTTP requests took.",
	}, []string{"method"})
	inFlight = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "http_requests_in_flight", Help: "HTTP requests that are being served.",
	})
)

func main() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello\n")) })
	http.Handle("/", promhttp.InstrumentHandlerInFlight(inFlight,
		promhttp.InstrumentHandlerDuration(seconds,
			promhttp.InstrumentHandlerCounter(requests, hello))))
	http.Handle("/metrics", promhttp.Handler())
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
