// Ttl has a series for each tenant. A tenant that no process has counted for 10 seconds
// leaves the view, and its space is used again: nobody has to say when a tenant is gone.
//
//	go -C examples run ./ttl 127.0.0.1:8080
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/multiprom/multiprom"
	"github.com/multiprom/multiprom/multiproc"
)

var requests = multiproc.NewCounterVec(multiproc.CounterOpts{
	Name: "tenant_requests_total", Help: "Requests by tenant.",
	TTL: 10 * time.Second, // an hour or a day in real life
}, []string{"tenant"})

func main() {
	http.HandleFunc("GET /{tenant}", func(w http.ResponseWriter, r *http.Request) {
		requests.WithLabelValues(r.PathValue("tenant")).Inc()
		fmt.Fprintln(w, "hello")
	})
	http.Handle("GET /metrics", multiprom.Handler())
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
