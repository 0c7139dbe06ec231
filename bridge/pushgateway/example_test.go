package pushgateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/multiprom/multiprom/bridge/pushgateway"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// A batch job pushes its own metrics at its end. The Pushgateway keeps them for Prometheus
// to scrape.
func Example() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
	}))
	defer gateway.Close()

	set := multiproc.NewSet(multiproc.SetOptions{})
	rows := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "rows", Help: "Rows copied."}))
	rows.Add(1200)

	p, err := pushgateway.New(pushgateway.Options{URL: gateway.URL, Job: "backup", Grouping: map[string]string{"shard": "7"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Push(context.Background(), registry.Instruments(set)))
	// Output:
	// PUT /metrics/job/backup/shard/7
	// <nil>
}
