package publish

import (
	"sync"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry/collectors"
)

// PerProcess is the default of Options.Mode: every gauge is a series per living
// process (liveall). It leaves out the families of collectors.NewProcess, such as
// process_open_fds: the merged view has them of every living worker already,
// read from /proc by whoever answers.
func PerProcess(f *metric.Family) (mode metric.Mode, publish bool) {
	return metric.ModeLiveAll, !readFromProc()[f.Name]
}

var readFromProc = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, f := range collectors.NewProcess(collectors.ProcessOptions{}).Describe() {
		names[f.Name] = true
	}
	return names
})
