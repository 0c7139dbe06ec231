package exposition_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var requests = multiproc.NewCounterVec(multiproc.CounterOpts{
	Name: "http_requests_total", Help: "HTTP requests served.",
}, []string{"method", "code"})

func Example() {
	requests.WithLabelValues("GET", "200").Inc()
	http.Handle("/metrics", exposition.Handler(registry.Default()))
}

// A timed function and a one-call server: how long it takes, and how often
// it was called, at http://localhost:8000/metrics.
func ExampleServe() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	latency := multiproc.MustNew(set.NewSummary(multiproc.SummaryOpts{
		Name: "request_processing", Unit: "seconds", Help: "Time spent processing a request.",
	}))
	process := func() {
		defer multiproc.NewTimer(latency).ObserveDuration()
		// … the work …
	}

	server, err := exposition.Serve(exposition.ServerOptions{
		Addr:     "127.0.0.1:0", // a free port; leave it out for :8000
		Gatherer: registry.Instruments(set),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	process()
	process()

	resp, err := http.Get(server.URL())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "request_processing_seconds_count") {
			fmt.Println(lines.Text())
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	fmt.Println(server.Shutdown(ctx))
	// Output:
	// request_processing_seconds_count 2
	// <nil>
}
