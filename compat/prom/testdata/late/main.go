// Command late sets PROMETHEUS_MULTIPROC_DIR in main, to its second argument. The first
// one says what it does then, and whether it has made a metric before.
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	prometheus "github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
	"github.com/multiprom/multiprom/compat/prom/promhttp"
	"github.com/multiprom/multiprom/multiproc"
)

var early = func() prometheus.Counter {
	if os.Args[1] == "nothing early" {
		return nil
	}
	return requests()
}()

func requests() prometheus.Counter {
	return promauto.NewCounter(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."})
}

func main() {
	os.Setenv("PROMETHEUS_MULTIPROC_DIR", os.Args[2])
	switch os.Args[1] {
	case "nothing early":
		requests().Inc()
		if err := multiproc.Open(); err != nil {
			panic(err)
		}
	case "Open":
		early.Add(100)
		fmt.Println(multiproc.Open())
	case "Open after an update":
		multiproc.NewCounter(multiproc.CounterOpts{Name: "other_total", Help: "Others."}).Inc()
		fmt.Println(multiproc.Open())
	case "another metric":
		promauto.NewCounter(prometheus.CounterOpts{Name: "other_total", Help: "Others."}).Inc()
	case "scrape":
		early.Add(100)
	}
	response := httptest.NewRecorder()
	promhttp.Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	fmt.Println(response.Body)
}
