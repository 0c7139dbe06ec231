package remotewrite_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/remotewrite"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// One push to a receiver of remote write 2.0. Writer.Run pushes repeatedly.
func Example() {
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path, r.Header.Get("X-Prometheus-Remote-Write-Version"))
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "1")
		w.WriteHeader(http.StatusNoContent)
	}))
	defer prometheus.Close()

	set := multiproc.NewSet(multiproc.SetOptions{})
	rows := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "rows", Help: "Rows copied."}))
	rows.Add(1200)

	w, err := remotewrite.New(remotewrite.Options{
		Options: delivery.Options{URL: prometheus.URL + "/api/v1/write"},
		Labels:  map[string]string{"job": "backup", "instance": "db-1"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Push(context.Background(), registry.Instruments(set)))
	// Output:
	// POST /api/v1/write 2.0.0
	// <nil>
}
