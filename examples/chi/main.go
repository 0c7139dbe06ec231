// Chi serves metrics in an application that uses chi. Start it several times, and
// /metrics of any process has the requests of all.
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./chi 127.0.0.1:8081
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./chi 127.0.0.1:8082
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests served."})

func main() {
	r := chi.NewRouter()
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		requests.Inc()
		fmt.Fprintln(w, "hello")
	})
	r.Method(http.MethodGet, "/metrics", exposition.Handler(registry.Default()))
	log.Fatal(http.ListenAndServe(os.Args[1], r))
}
