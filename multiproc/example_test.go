package multiproc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/multiprom/multiprom/metric"
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

// A gauge of what is going on: metric.ModeLiveSum, so that what a killed process never
// finished leaves with it.
func ExampleGauge_TrackInProgress() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	inFlight := multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{
		Name: "requests_in_flight", Help: "Requests being served.", Mode: metric.ModeLiveSum,
	}))
	latency := multiproc.MustNew(set.NewHistogram(multiproc.HistogramOpts{
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
	requests := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{
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
	failures := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "read_errors", Help: "Reads that failed."}))

	err := failures.CountErrors(func() error {
		_, err := os.ReadFile("/nowhere")
		return err
	}, multiproc.CountErrorsIs(fs.ErrNotExist))
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}

// A histogram with buckets of its own, filled by a timer and by hand.
func ExampleHistogram() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	latency := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{
		Name: "request_duration_seconds", Help: "Duration of requests.", Buckets: multiproc.ExponentialBuckets(0.001, 10, 4),
	}, []string{"method"}))

	func() {
		defer multiproc.NewTimer(latency.WithLabelValues("POST")).ObserveDuration()
	}()
	get := latency.WithLabelValues("GET")
	for _, seconds := range []float64{0.0004, 0.02, 0.03, 5} {
		get.Observe(seconds)
	}

	buckets, sum := get.Values()
	for _, b := range buckets {
		fmt.Println("le", b.UpperBound, b.Count)
	}
	fmt.Println("sum", sum)
	// Output:
	// le 0.001 1
	// le 0.01 1
	// le 0.1 3
	// le 1 3
	// le +Inf 4
	// sum 5.0504
}

// An info says something about the process: its version, its configuration.
func ExampleInfo() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	build := multiproc.MustNew(set.NewInfo(multiproc.InfoOpts{Name: "app_build", Help: "What runs."}))
	if err := build.Set(multiproc.Labels{"version": "1.4.2", "commit": "c0ffee"}); err != nil {
		fmt.Println(err)
	}

	v, err := registry.SampleValue(context.Background(), registry.Instruments(set), "app_build_info",
		map[string]string{"version": "1.4.2", "commit": "c0ffee"})
	fmt.Println(v, err)
	// Output: 1 <nil>
}

// An enum is in one of its states. Each live process has its own.
func ExampleEnum() {
	set := multiproc.NewSet(multiproc.SetOptions{ProcessID: "3"})
	phase := multiproc.MustNew(set.NewEnum(multiproc.EnumOpts{
		Name: "worker_phase", Help: "What the worker does.", States: []string{"starting", "serving", "draining"},
	}))
	if err := phase.Set("serving"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(phase.Set("sleeping"))

	v, err := registry.SampleValue(context.Background(), registry.Instruments(set), "worker_phase",
		map[string]string{"worker_phase": "serving", "pid": "3"})
	fmt.Println(v, err)
	// Output:
	// multiproc: worker_phase: unknown state "sleeping"
	// 1 <nil>
}

// The mode of a gauge says what several processes' values mean together: here the largest
// queue of all, and the sum over the processes that live.
func ExampleMode() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	longest := multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{
		Name: "queue_longest", Help: "The longest queue of all workers.", Mode: metric.ModeMax,
	}))
	connections := multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{
		Name: "connections", Help: "Open connections.", Mode: metric.ModeLiveSum,
	}))
	longest.Set(17)
	connections.Inc()

	for _, name := range []string{"queue_longest", "connections"} {
		v, err := registry.SampleValue(context.Background(), registry.Instruments(set), name, nil)
		fmt.Println(name, v, err)
	}
	// Output:
	// queue_longest 17 <nil>
	// connections 1 <nil>
}

// An exemplar leads from a number to the trace of one request that it counts.
func ExampleCounter_AddWithExemplar() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	failures := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "failures_total", Help: "Requests that failed."}))
	failures.AddWithExemplar(1, multiproc.Labels{"trace_id": "4bf92f3577b34da6"})

	families, err := registry.Instruments(set).Gather(context.Background())
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range families {
		if f.Name == "failures" {
			x := f.Series[0].Exemplar
			fmt.Println(x.Labels, x.Value)
		}
	}
	// Output: {trace_id="4bf92f3577b34da6"} 1
}

// A gauge function is asked when a scrape needs its value.
func ExampleSet_NewGaugeFunc() {
	set := multiproc.NewSet(multiproc.SetOptions{})
	queue := []string{"a", "b"}
	multiproc.MustNew(set.NewGaugeFunc(multiproc.GaugeOpts{
		Name: "queue_length", Help: "Jobs that wait.", Mode: metric.ModeLiveSum,
	}, func() float64 { return float64(len(queue)) }))

	v, err := registry.SampleValue(context.Background(), registry.Instruments(set), "queue_length", nil)
	fmt.Println(v, err)
	// Output: 2 <nil>
}
