package collectors_test

import (
	"context"
	"fmt"

	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/registry/collectors"
)

func Example() {
	reg := registry.New(registry.Options{})
	reg.MustRegister(
		collectors.NewProcess(collectors.ProcessOptions{}),
		collectors.NewGoRuntime(),
		collectors.NewBuildInfo(),
	)
	n, err := registry.SampleValue(context.Background(), reg, "go_goroutines", nil)
	fmt.Println(n > 0, err)
	// Output: true <nil>
}

// The list usually comes from the headers of the files in a directory.
func ExampleNewWorkers() {
	workers := collectors.NewWorkers(collectors.WorkersOptions{
		List: func() []collectors.Worker {
			return []collectors.Worker{{PID: 4711, StartTime: 8861, PIDNamespace: 4026531836, Label: "web-0"}}
		},
		LabelName: "worker",
	})
	for _, f := range workers.Describe()[:2] {
		fmt.Println(f.Type, f.Name)
	}
	// Output:
	// counter process_cpu_seconds
	// gauge process_max_fds
}
