// Command library runs code that makes its own metrics with client_golang, as it
// is: promhttp's InstrumentMetricHandler and the Go collector register with a
// registry, which a publisher writes to the store.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/compat/publish"
	"github.com/multiprom/multiprom/registry"
)

func main() {
	library := prometheus.NewRegistry()
	library.MustRegister(collectors.NewGoCollector())
	http.Handle("/work", promhttp.InstrumentMetricHandler(library, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "hello")
	})))

	publisher, err := publish.Start(library, publish.Options{})
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/publish", func(w http.ResponseWriter, r *http.Request) {
		if err := publisher.Publish(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	http.Handle("/metrics", promhttp.HandlerFor(convert.ToPrometheus(registry.Default()), promhttp.HandlerOpts{}))
	if err := http.ListenAndServe(os.Args[1], nil); err != nil {
		panic(err)
	}
}
