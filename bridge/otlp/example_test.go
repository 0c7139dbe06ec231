package otlp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/otlp"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// One push to an OpenTelemetry Collector. Exporter.Run pushes repeatedly.
func Example() {
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path, r.Header.Get("Content-Encoding"))
	}))
	defer collector.Close()

	set := multiproc.NewSet(multiproc.SetOptions{})
	rows := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "rows", Help: "Rows copied."}))
	rows.Add(1200)

	e, err := otlp.New(otlp.Options{
		Options:  delivery.Options{URL: collector.URL},
		Resource: map[string]string{"service.name": "backup"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Push(context.Background(), registry.Instruments(set)))
	// Output:
	// POST /v1/metrics gzip
	// <nil>
}
