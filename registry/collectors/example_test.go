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
