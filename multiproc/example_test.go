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

var requests = multiproc.NewCounterVec(multiproc.CounterOpts{
	Name: "http_requests_total", Help: "HTTP requests served.",
}, []string{"method", "code"})

// Package-level instruments belong to the default Set; declaring them does no
// I/O. A worker opens its file at its start, and hears why it cannot.
func Example_quickStart() {
	if err := multiproc.Open(); err != nil {
		fmt.Println("metrics:", err)
	}
	requests.WithLabelValues("GET", "200").Inc()
	fmt.Println(multiproc.Default().Opened())
	// Output: true
}

// A gauge of what is going on: ModeLiveSum, so that what a killed process never
// finished leaves with it.
func ExampleGauge_TrackInProgress() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	inFlight := multiproc.Must(set.NewGauge(multiproc.GaugeOpts{
		Name: "requests_in_flight", Help: "Requests being served.", Mode: multiproc.ModeLiveSum,
	}))
	latency := multiproc.Must(set.NewHistogram(multiproc.HistogramOpts{
		Name: "request_duration", Help: "Duration of requests.", Unit: "seconds",
	}))

	func() { // a handler
		defer inFlight.TrackInProgress()()
		defer multiproc.NewTimer(latency).ObserveDuration()
	}()
	fmt.Println("served")
	// Output: served
}

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
