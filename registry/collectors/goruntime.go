package collectors

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// GoRuntime collects what the Go runtime knows of this process: goroutines,
// threads, garbage collection, memory. The names are those that client_golang
// has by default.
//
// One of them has another type: go_memstats_alloc_bytes_total is unknown, not
// a counter, since a counter's family would have the name of the gauge
// go_memstats_alloc_bytes, and one exposition must not have both.
type GoRuntime struct{}

// NewGoRuntime returns a collector of this process's Go runtime.
func NewGoRuntime() *GoRuntime { return &GoRuntime{} }

// Families that do not come from runtime/metrics.
var (
	goInfo       = declared{"go", "Information about the Go environment.", metric.Info}
	goGCDuration = declared{"go_gc_duration_seconds", "Wall-time pause (stop-the-world) durations in garbage collection cycles.", metric.Summary}
	goLastGC     = declared{"go_memstats_last_gc_time_seconds", "Number of seconds since 1970 of last garbage collection.", metric.Gauge}
)

// runtimeMetrics are sums of values of runtime/metrics, all of them integers.
// What an older or newer runtime does not have is left out.
var runtimeMetrics = []struct {
	declared
	sources []string
}{
	{declared{"go_goroutines", "Number of goroutines that currently exist.", metric.Gauge},
		[]string{"/sched/goroutines:goroutines"}},
	{declared{"go_threads", "Number of OS threads of the Go runtime.", metric.Gauge},
		[]string{"/sched/threads/total:threads"}},
	{declared{"go_sched_gomaxprocs_threads", "The current runtime.GOMAXPROCS setting.", metric.Gauge},
		[]string{"/sched/gomaxprocs:threads"}},
	{declared{"go_gc_gogc_percent", "Heap size target percentage configured by the user, otherwise 100.", metric.Gauge},
		[]string{"/gc/gogc:percent"}},
	{declared{"go_gc_gomemlimit_bytes", "Go runtime memory limit configured by the user, otherwise math.MaxInt64.", metric.Gauge},
		[]string{"/gc/gomemlimit:bytes"}},

	{declared{"go_memstats_alloc_bytes", "Number of bytes allocated in heap and currently in use.", metric.Gauge},
		[]string{heapObjects}},
	{declared{"go_memstats_alloc_bytes_total", "Total number of bytes allocated in heap until now, even if released already.", metric.Unknown},
		[]string{"/gc/heap/allocs:bytes"}},
	{declared{"go_memstats_sys_bytes", "Number of bytes obtained from system.", metric.Gauge},
		[]string{"/memory/classes/total:bytes"}},
	{declared{"go_memstats_mallocs", "Total number of heap objects allocated, both live and gc-ed.", metric.Counter},
		[]string{"/gc/heap/allocs:objects", tinyAllocs}},
	{declared{"go_memstats_frees", "Total number of heap objects frees.", metric.Counter},
		[]string{"/gc/heap/frees:objects", tinyAllocs}},
	{declared{"go_memstats_heap_alloc_bytes", "Number of heap bytes allocated and currently in use, same as go_memstats_alloc_bytes.", metric.Gauge},
		[]string{heapObjects}},
	{declared{"go_memstats_heap_sys_bytes", "Number of heap bytes obtained from system.", metric.Gauge},
		[]string{heapObjects, heapUnused, heapReleased, heapFree}},
	{declared{"go_memstats_heap_idle_bytes", "Number of heap bytes waiting to be used.", metric.Gauge},
		[]string{heapReleased, heapFree}},
	{declared{"go_memstats_heap_inuse_bytes", "Number of heap bytes that are in use.", metric.Gauge},
		[]string{heapObjects, heapUnused}},
	{declared{"go_memstats_heap_released_bytes", "Number of heap bytes released to OS.", metric.Gauge},
		[]string{heapReleased}},
	{declared{"go_memstats_heap_objects", "Number of currently allocated objects.", metric.Gauge},
		[]string{"/gc/heap/objects:objects"}},
	{declared{"go_memstats_stack_inuse_bytes", "Number of bytes obtained from system for stack allocator in non-CGO environments.", metric.Gauge},
		[]string{heapStacks}},
	{declared{"go_memstats_stack_sys_bytes", "Number of bytes obtained from system for stack allocator.", metric.Gauge},
		[]string{heapStacks, "/memory/classes/os-stacks:bytes"}},
	{declared{"go_memstats_mspan_inuse_bytes", "Number of bytes in use by mspan structures.", metric.Gauge},
		[]string{mspanInuse}},
	{declared{"go_memstats_mspan_sys_bytes", "Number of bytes used for mspan structures obtained from system.", metric.Gauge},
		[]string{mspanInuse, "/memory/classes/metadata/mspan/free:bytes"}},
	{declared{"go_memstats_mcache_inuse_bytes", "Number of bytes in use by mcache structures.", metric.Gauge},
		[]string{mcacheInuse}},
	{declared{"go_memstats_mcache_sys_bytes", "Number of bytes used for mcache structures obtained from system.", metric.Gauge},
		[]string{mcacheInuse, "/memory/classes/metadata/mcache/free:bytes"}},
	{declared{"go_memstats_buck_hash_sys_bytes", "Number of bytes used by the profiling bucket hash table.", metric.Gauge},
		[]string{"/memory/classes/profiling/buckets:bytes"}},
	{declared{"go_memstats_gc_sys_bytes", "Number of bytes used for garbage collection system metadata.", metric.Gauge},
		[]string{"/memory/classes/metadata/other:bytes"}},
	{declared{"go_memstats_other_sys_bytes", "Number of bytes used for other system allocations.", metric.Gauge},
		[]string{"/memory/classes/other:bytes"}},
	{declared{"go_memstats_next_gc_bytes", "Number of heap bytes when next garbage collection will take place.", metric.Gauge},
		[]string{"/gc/heap/goal:bytes"}},
}

// Sources that more than one metric has.
const (
	tinyAllocs   = "/gc/heap/tiny/allocs:objects"
	heapObjects  = "/memory/classes/heap/objects:bytes"
	heapUnused   = "/memory/classes/heap/unused:bytes"
	heapReleased = "/memory/classes/heap/released:bytes"
	heapFree     = "/memory/classes/heap/free:bytes"
	heapStacks   = "/memory/classes/heap/stacks:bytes"
	mspanInuse   = "/memory/classes/metadata/mspan/inuse:bytes"
	mcacheInuse  = "/memory/classes/metadata/mcache/inuse:bytes"
)

// Collect reads the runtime. It does not stop the world.
func (c *GoRuntime) Collect(context.Context) ([]*metric.Family, error) {
	families := []*metric.Family{
		goInfo.family("", metric.Series{Labels: metric.MakeLabels("version", runtime.Version()), Value: 1}),
	}

	gc := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&gc)
	pauses := metric.Series{Count: uint64(gc.NumGC), Sum: gc.PauseTotal.Seconds()}
	for i, pause := range gc.PauseQuantiles {
		q := float64(i) / float64(len(gc.PauseQuantiles)-1)
		pauses.Quantiles = append(pauses.Quantiles, metric.Quantile{Q: q, Value: pause.Seconds()})
	}
	families = append(families, goGCDuration.family("", pauses),
		goLastGC.family("", metric.Series{Value: float64(gc.LastGC.UnixNano()) / 1e9}))

	// One Read for all, so that what is in use is never more than there is.
	var samples []metrics.Sample
	for _, m := range runtimeMetrics {
		for _, source := range m.sources {
			samples = append(samples, metrics.Sample{Name: source})
		}
	}
	metrics.Read(samples)
	for _, m := range runtimeMetrics {
		own := samples[:len(m.sources)]
		samples = samples[len(m.sources):]
		if v, ok := sum(own); ok {
			families = append(families, m.family("", metric.Series{Value: float64(v)}))
		}
	}
	return families, nil
}

// Describe returns the families that Collect can yield.
func (c *GoRuntime) Describe() []*metric.Family {
	families := []*metric.Family{goInfo.family(""), goGCDuration.family(""), goLastGC.family("")}
	for _, m := range runtimeMetrics {
		families = append(families, m.family(""))
	}
	return families
}

// sum adds the samples, and reports false if the runtime lacks one of them.
func sum(samples []metrics.Sample) (total uint64, ok bool) {
	for _, s := range samples {
		if s.Value.Kind() != metrics.KindUint64 {
			return 0, false
		}
		total += s.Value.Uint64()
	}
	return total, true
}
