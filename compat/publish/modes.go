package publish

import (
	"strings"
	"sync"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry/collectors"
	"github.com/multiprom/multiprom/registry/publish"
)

// ByName is the default of Options.Mode: the mode that prom.ModeByName has for
// the name, and two more rules:
//
//	go_memstats_last_gc_time_seconds  max, as it is a time
//	*_total, of type unknown          sum: client_golang's go_memstats_alloc_bytes_total,
//	                                  which cannot be a counter beside a family without
//	                                  that suffix, and must not fall when a process dies
//
// It leaves out what the merged view has from elsewhere: go_build_info, and the
// families of client_golang's process collector, which the process that answers reads
// from /proc for every living worker. Two of those are in no view, since each process
// would say the same of the network of all: process_network_receive_bytes_total
// and process_network_transmit_bytes_total.
//
// The mode is that of the name also where publish is false. A program whose
// workers' /proc cannot be seen by who answers says:
//
//	Mode: func(f *metric.Family) (metric.Mode, bool) {
//		mode, wanted := publish.ByName(f)
//		return mode, wanted || strings.HasPrefix(f.Name, "process_")
//	},
func ByName(f *metric.Family) (mode metric.Mode, publish bool) {
	return modeByName(f), !elsewhere(f)
}

func modeByName(f *metric.Family) metric.Mode {
	switch {
	case f.Name == "go_memstats_last_gc_time_seconds":
		return metric.ModeMax
	case f.Type == metric.Unknown && strings.HasSuffix(f.Name, "_total"):
		return metric.ModeSum
	default:
		return prom.ModeByName(f.Name)
	}
}

func elsewhere(f *metric.Family) bool {
	switch f.Name {
	case "go_build_info", "process_network_receive_bytes", "process_network_transmit_bytes":
		return true
	}
	_, wanted := publish.PerProcess(f)
	return !wanted
}

// withoutRuntime is ByName for the default Set without a directory, beside which
// registry.Default has the Go runtime metrics of this process.
func withoutRuntime(f *metric.Family) (metric.Mode, bool) {
	mode, wanted := ByName(f)
	for _, name := range openmetrics.SampleNames(f.Name, f.Type) {
		wanted = wanted && !runtimeSamples()[name]
	}
	return mode, wanted
}

var runtimeSamples = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, f := range collectors.NewGoRuntime().Describe() {
		for _, name := range openmetrics.SampleNames(f.Name, f.Type) {
			names[name] = true
		}
	}
	return names
})
