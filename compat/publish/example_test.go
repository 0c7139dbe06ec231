package publish_test

import (
	"context"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/publish"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// What a library has in a registry of client_golang is in the merged view.
func ExampleStart() {
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)

	library := prometheus.NewRegistry() // or prometheus.DefaultGatherer
	queries := prometheus.NewCounter(prometheus.CounterOpts{Name: "db_queries_total", Help: "Queries."})
	library.MustRegister(queries)

	p, err := publish.Start(library, publish.Options{Set: multiproc.NewSet(multiproc.SetOptions{Dir: dir})})
	if err != nil {
		fmt.Println(err)
		return
	}
	queries.Add(3)
	if err := p.Close(); err != nil { // publishes once more
		fmt.Println(err)
	}

	view, err := aggregate.Open(dir, aggregate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer view.Close()
	fmt.Println(registry.SampleValue(context.Background(), view, "db_queries_total", nil))
	// Output: 3 <nil>
}
