package registry_test

import (
	"context"
	"fmt"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
)

// queue is a custom collector: its length is known to a database only.
type queue struct{ waiting int }

func (q *queue) Describe() []*metric.Family {
	return []*metric.Family{{Name: "queue_length", Type: metric.Gauge}}
}

func (q *queue) Collect(context.Context) ([]*metric.Family, error) {
	return []*metric.Family{{
		Name: "queue_length", Help: "Jobs that wait.", Type: metric.Gauge,
		Series: []metric.Series{{Labels: metric.MakeLabels("queue", "mail"), Value: float64(q.waiting)}},
	}}, nil
}

func Example() {
	reg := registry.New(registry.Options{TargetInfo: metric.MakeLabels("env", "prod")})
	reg.MustRegister(&queue{waiting: 3})

	families, err := reg.Gather(context.Background())
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range families {
		for s := range f.Samples() {
			fmt.Println(s.Name, s.Labels, s.Value)
		}
	}
	// Output:
	// queue_length {queue="mail"} 3
	// target_info {env="prod"} 1
}

func ExampleRegistry_Register() {
	reg := registry.New(registry.Options{})
	reg.MustRegister(&queue{})
	fmt.Println(reg.Register(&queue{}))
	// Output: duplicate metric: gauge "queue_length" of *registry_test.queue has the name "queue_length", as has gauge "queue_length" of *registry_test.queue
}

func ExampleSampleValue() {
	reg := registry.New(registry.Options{})
	reg.MustRegister(&queue{waiting: 3})
	v, err := registry.SampleValue(context.Background(), reg, "queue_length", map[string]string{"queue": "mail"})
	fmt.Println(v, err)
	// Output: 3 <nil>
}

func ExampleRestrict() {
	reg := registry.New(registry.Options{TargetInfo: metric.MakeLabels("env", "prod")})
	reg.MustRegister(&queue{waiting: 3})
	families, _ := registry.Restrict(reg, "target_info").Gather(context.Background())
	for _, f := range families {
		fmt.Println(f.Type, f.Name)
	}
	// Output: info target
}
