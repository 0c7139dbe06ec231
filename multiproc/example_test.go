package multiproc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

func Example() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	requests := multiproc.Must(set.NewCounterVec(multiproc.CounterOpts{
		Name: "http_requests_total", Help: "HTTP requests served.",
	}, []string{"method", "code"}))

	requests.WithLabelValues("GET", "200").Inc()
	requests.WithLabelValues("GET", "200").Add(2)

	v, err := registry.SampleValue(context.Background(), registry.Instruments(set), "http_requests_total", map[string]string{"method": "GET", "code": "200"})
	fmt.Println(v, err)
	// Output: 3 <nil>
}

// The error of a file that cannot be read is counted, and returned.
func ExampleCounter_CountErrors() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	failures := multiproc.Must(set.NewCounter(multiproc.CounterOpts{Name: "read_errors", Help: "Reads that failed."}))

	err := failures.CountErrors(func() error {
		_, err := os.ReadFile("/nowhere")
		return err
	}, multiproc.Is(fs.ErrNotExist))
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}
