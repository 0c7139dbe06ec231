// Publish is a server whose metrics are client_golang's own, as those of a library
// that cannot be changed: each process writes its default registry into its file
// every second, and once more when SIGTERM ends it. /metrics of any process has
// the requests of all.
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C compat run ./examples/publish 127.0.0.1:8081
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C compat run ./examples/publish 127.0.0.1:8082
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/multiprom/multiprom/compat/publish"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/registry"
)

var (
	requests = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "HTTP requests served.",
	}, []string{"code", "method"})
	inFlight = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "http_requests_in_flight", Help: "HTTP requests that are being served.",
	})
)

func main() {
	if err := serve(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func serve(address string) error {
	publisher, err := publish.Start(prometheus.DefaultGatherer, publish.Options{
		Period:  time.Second,
		OnError: func(err error) { log.Print(err) },
	})
	if err != nil {
		return err
	}
	defer publisher.Close()

	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello\n")) })
	http.Handle("/", promhttp.InstrumentHandlerInFlight(inFlight, promhttp.InstrumentHandlerCounter(requests, hello)))
	http.Handle("/metrics", exposition.Handler(registry.Default()))

	server := &http.Server{Addr: address}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	select {
	case err := <-served:
		return err
	case <-term.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return server.Shutdown(drain)
}
