package main

// The packages whose imports are replaced.
const (
	theirPackage = "github.com/prometheus/client_golang/prometheus"
	ourPackage   = "github.com/multiprom/multiprom/compat/prom"
)

// replaced are the import paths below theirPackage that have a counterpart below
// ourPackage.
var replaced = []string{"", "/promauto", "/promhttp"}

// suite is one module whose tests are run.
type suite struct {
	name    string
	module  string
	version string
	// packages are the patterns given to go test.
	packages []string
	// inside are the packages, below the module's root, that this module has a
	// counterpart of. Only their tests are copied.
	inside []string
	// only, where set, are the directories that are copied, below the module's root.
	only []string

	// Of the comparison of processes; no operate means none.

	// operate gives a process its operations of a round. They differ between rounds.
	operate func(p *process, round int) error
	// command, where set, returns the arguments of the module's own command, which is
	// run in place of the program of programs/.
	command func(p *process) []string
	// apart are prefixes of families that are left out of account, since the library
	// says something of one process with them.
	apart []string
}

var suites = []suite{
	{
		name: "client_golang", module: "github.com/prometheus/client_golang", version: "v1.25.0",
		packages: []string{"./..."},
		inside:   []string{"prometheus", "prometheus/promauto"},
		only:     []string{"prometheus/promhttp", "prometheus/testutil", "prometheus/push", "prometheus/graphite", "prometheus/collectors"},
	},
	{
		name: "go-http-metrics", module: "github.com/slok/go-http-metrics", version: "v0.13.0",
		packages: []string{"./..."},
		operate:  requests,
	},
	{
		name: "go-grpc-middleware", module: "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus", version: "v1.1.1",
		packages: []string{"./..."},
		operate:  requests,
	},
	{
		name: "statsd_exporter", module: "github.com/prometheus/statsd_exporter", version: "v0.31.0",
		packages: []string{"./..."},
		operate:  statsdLines,
		command: func(p *process) []string {
			return []string{"--web.listen-address=" + p.address, "--statsd.listen-tcp=" + p.other, "--statsd.listen-udp="}
		},
		// How its queue and cache are used, and how many metrics each process has.
		apart: []string{"statsd_exporter_event_queue_", "statsd_exporter_cache_", "statsd_metric_mapper_cache_", "statsd_exporter_events_flushed", "statsd_exporter_metrics_total"},
	},
	{
		name: "fiberprometheus", module: "github.com/ansrivas/fiberprometheus/v2", version: "v2.16.0",
		packages: []string{"./..."},
		operate:  requests,
	},
	{
		name: "echoprometheus", module: "github.com/labstack/echo-contrib", version: "v0.50.1",
		packages: []string{"./echoprometheus"},
		operate:  requests,
	},
	{
		name: "component-base", module: "k8s.io/component-base", version: "v0.37.2",
		packages: []string{"./metrics/..."},
		operate:  requests,
		apart:    []string{"registered_metrics_total"}, // each process counts what it has registered
	},
}
