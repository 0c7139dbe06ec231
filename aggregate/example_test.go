package aggregate_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/multiproc"
)

// twoWorkers makes a directory with the files of two workers, which have served 3 and 4
// requests.
func twoWorkers() (dir string, workers []*multiproc.Set) {
	dir, err := os.MkdirTemp("", "metrics")
	if err != nil {
		log.Fatal(err)
	}
	for i := range 2 { // in a program, each Set is in a process of its own
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir, ProcessID: fmt.Sprint("worker ", i)})
		requests := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests served."}))
		inFlight := multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{Name: "in_flight", Help: "Requests being served."}))
		requests.Add(float64(3 + i))
		inFlight.Set(float64(i))
		workers = append(workers, set)
	}
	return dir, workers
}

// An Aggregator merges the files of a directory. Counters are added up; a gauge of the
// default mode has a series for each process.
func ExampleAggregator_Gather() {
	dir, _ := twoWorkers()
	defer os.RemoveAll(dir)

	view, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	if err != nil {
		log.Fatal(err)
	}
	defer view.Close()
	families, err := view.Gather(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range families {
		for s := range f.Samples() {
			fmt.Println(s.Name+s.Labels.String(), s.Value)
		}
	}
	// Output:
	// in_flight{pid="worker 0"} 0
	// in_flight{pid="worker 1"} 1
	// requests_total 7
}

// Processes lists who has a file in the directory, and whether it lives.
func ExampleAggregator_Processes() {
	dir, workers := twoWorkers()
	defer os.RemoveAll(dir)
	if err := workers[0].Close(); err != nil { // it counts as dead from now on
		log.Fatal(err)
	}

	view, err := aggregate.Open(dir, aggregate.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer view.Close()
	processes, err := view.Processes()
	if err != nil {
		log.Fatal(err)
	}
	states := map[string]aggregate.State{}
	for _, p := range processes {
		states[p.Label] = p.State
	}
	fmt.Println(states)
	// Output: map[worker 0:closed worker 1:live]
}

// Compact moves what dead processes have counted into the archive. Here all live, so that
// there is nothing to do. A Compactor does the same in the background.
func ExampleCompact() {
	dir, _ := twoWorkers()
	defer os.RemoveAll(dir)

	result, err := aggregate.Compact(context.Background(), dir, aggregate.CompactOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(result.Compacted), "files compacted")
	// Output: 0 files compacted
}
