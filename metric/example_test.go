package metric_test

import (
	"fmt"

	"github.com/multiprom/multiprom/metric"
)

// What a custom collector returns: a family with its series.
func ExampleFamily() {
	f := metric.Family{
		Name: "queue_jobs", Help: "Jobs that wait.", Type: metric.Gauge,
		Series: []metric.Series{
			{Labels: metric.MakeLabels("queue", "mail"), Value: 12},
			{Labels: metric.MakeLabels("queue", "report"), Value: 3},
		},
	}
	for s := range f.Samples() {
		fmt.Println(s.Name+s.Labels.String(), s.Value)
	}
	// Output:
	// queue_jobs{queue="mail"} 12
	// queue_jobs{queue="report"} 3
}

// A histogram's buckets are cumulative in a Family. Cumulate makes them from what a
// program usually has: the number of observations in each bucket.
func ExampleCumulate() {
	bounds := []float64{0.1, 1}
	f := metric.Family{
		Name: "latency_seconds", Help: "Latency.", Type: metric.Histogram,
		Series: []metric.Series{{Buckets: metric.Cumulate(bounds, []uint64{5, 2, 1}), Count: 8, Sum: 2.5}},
	}
	for s := range f.Samples() {
		fmt.Println(s.Name+s.Labels.String(), s.Value)
	}
	// Output:
	// latency_seconds_bucket{le="0.1"} 5
	// latency_seconds_bucket{le="1"} 7
	// latency_seconds_bucket{le="+Inf"} 8
	// latency_seconds_sum 2.5
	// latency_seconds_count 8
}

// The modes of a gauge, for a process that is dead.
func ExampleMode() {
	for _, m := range []metric.Mode{metric.ModeAll, metric.ModeSum, metric.ModeLiveSum} {
		fmt.Printf("%s: counts dead processes: %t, one series a process: %t\n", m, !m.Live(), m.Base() == metric.ModeAll)
	}
	// Output:
	// all: counts dead processes: true, one series a process: true
	// sum: counts dead processes: true, one series a process: false
	// livesum: counts dead processes: false, one series a process: false
}
