// Nethttp serves metrics in an application that uses net/http.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests served."})

func main() {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		requests.Inc()
		fmt.Fprintln(w, "hello")
	})
	http.Handle("/metrics", exposition.Handler(registry.Default()))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
