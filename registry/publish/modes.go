package publish

import (
	"sync"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry/collectors"
)

// PerProcess is the default of Options.Mode: every gauge has a series for each live process
// (liveall). It omits the families of collectors.NewProcess, such as process_open_fds: the
// merged view has these of every live worker, since the process that answers reads them
// from /proc.
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
