//lint:file-ignore SA1019 files that use these compile with the import replaced too

package prom

import "github.com/prometheus/client_golang/prometheus"

// Functions of client_golang that it has replaced by those of its package
// collectors.
var (
	NewBuildInfoCollector = prometheus.NewBuildInfoCollector
	NewExpvarCollector    = prometheus.NewExpvarCollector
	NewGoCollector        = prometheus.NewGoCollector
	NewProcessCollector   = prometheus.NewProcessCollector
)
