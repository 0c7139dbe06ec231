package prom

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/metric"
)

// Gauge modes, for WithMode and Options.Mode: how the values that several
// processes gave one gauge merge. The live ones leave dead processes out.
const (
	ModeAll            = metric.ModeAll
	ModeLiveAll        = metric.ModeLiveAll
	ModeMin            = metric.ModeMin
	ModeLiveMin        = metric.ModeLiveMin
	ModeMax            = metric.ModeMax
	ModeLiveMax        = metric.ModeLiveMax
	ModeSum            = metric.ModeSum
	ModeLiveSum        = metric.ModeLiveSum
	ModeMostRecent     = metric.ModeMostRecent
	ModeLiveMostRecent = metric.ModeLiveMostRecent
)

// modeBySuffix is the rule of ModeByName, the first that fits.
var modeBySuffix = []struct {
	suffix string
	mode   metric.Mode
}{
	{"_info", ModeLiveMax},              // 1 in each process
	{"start_time_seconds", ModeLiveMin}, // since when the program runs
	{"_timestamp_seconds", ModeMax},     // when something happened last, in whatever process
	{"_ratio", ModeLiveAll},             // no one number stands for several of these
	{"_percent", ModeLiveAll},
	{"_celsius", ModeLiveAll},
}

// ModeByName is the default rule. client_golang's gauges do not say how they
// merge, and most are amounts of which each process has its part: requests in
// flight, entries of a queue or cache, bytes, connections. So the mode is
// livesum, but for names that end in
//
//	_info                        livemax
//	start_time_seconds           livemin
//	_timestamp_seconds           max
//	_ratio, _percent, _celsius   liveall: a series for each process, with its label pid
func ModeByName(name string) metric.Mode {
	for _, rule := range modeBySuffix {
		if strings.HasSuffix(name, rule.suffix) {
			return rule.mode
		}
	}
	return ModeLiveSum
}

// hasUnit reports whether name ends in unit as OpenMetrics wants it, _total
// aside.
func hasUnit(name, unit string) bool {
	name = strings.TrimSuffix(name, "_total")
	return unit != "" && strings.HasSuffix(name, "_"+unit)
}

func fullName(o prometheus.Opts) string {
	return prometheus.BuildFQName(o.Namespace, o.Subsystem, o.Name)
}
