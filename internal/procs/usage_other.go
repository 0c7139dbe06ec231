//go:build !linux

package procs

// UsageOf returns nothing known: there is no /proc.
func UsageOf(workers []Worker) []Usage { return make([]Usage, len(workers)) }
