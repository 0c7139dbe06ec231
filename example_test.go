package multiprom_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/multiprom/multiprom"
	"github.com/multiprom/multiprom/multiproc"
)

var requests = multiproc.NewCounterVec(multiproc.CounterOpts{
	Name: "http_requests_total", Help: "HTTP requests served.",
}, []string{"method", "code"})

// A worker that counts its requests, and serves the metrics of all workers.
func Example() {
	dir, err := os.MkdirTemp("", "app") // of a fixed name, and the same for all workers
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	if err := multiprom.Open(dir); err != nil {
		fmt.Println(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", multiprom.Handler())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		requests.WithLabelValues(r.Method, "200").Inc()
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	get(server.URL)
	for line := range strings.Lines(get(server.URL + "/metrics")) {
		if strings.HasPrefix(line, "http_requests_total") {
			fmt.Print(line)
		}
	}
	// Output:
	// http_requests_total{code="200",method="GET"} 1
}

func get(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	return string(body)
}
