package publish_test

import (
	"context"
	"fmt"
	"os"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/registry/publish"
)

// A worker publishes its Go runtime metrics in $PROMETHEUS_MULTIPROC_DIR.
func ExampleStart() {
	p, err := publish.Start(publish.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	// … the worker's work …
}

// The state of a connection pool, which only its own process can ask, as the sum
// over all living workers.
func ExampleStart_collector() {
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)

	reg := registry.New(registry.Options{})
	reg.MustRegister(registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) {
		return []*metric.Family{{
			Name: "pool_connections", Help: "Open connections.", Type: metric.Gauge,
			Series: []metric.Series{{Value: 3}},
		}}, nil
	}))
	p, err := publish.Start(publish.Options{
		Source: reg, Set: multiproc.NewSet(multiproc.SetOptions{Dir: dir}),
		Mode: func(*metric.Family) (metric.Mode, bool) { return metric.ModeLiveSum, true },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	if err := p.Publish(context.Background()); err != nil { // now, not at the period
		fmt.Println(err)
	}

	view, err := aggregate.Open(dir, aggregate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer view.Close()
	fmt.Println(registry.SampleValue(context.Background(), view, "pool_connections", nil))
	// Output: 3 <nil>
}
