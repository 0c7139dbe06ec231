package publish_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/publish"
	"github.com/multiprom/multiprom/metric"
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

// Where who serves /metrics cannot see the workers' /proc, they publish that too.
func ExampleByName() {
	publisher, err := publish.Start(prometheus.DefaultGatherer, publish.Options{
		Mode: func(f *metric.Family) (metric.Mode, bool) {
			mode, wanted := publish.ByName(f)
			return mode, wanted || strings.HasPrefix(f.Name, "process_")
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer publisher.Close()
	// … the worker's work …
}
