// Package collectors has the collectors that most programs want: what the
// operating system knows of a process, what the Go runtime knows of itself, and
// how the program was built.
//
// Their metrics have the names and meanings of client_golang, and where it has
// them of client_python, so that existing dashboards work:
//
//	reg := registry.New(registry.Options{})
//	reg.MustRegister(
//		collectors.NewProcess(collectors.ProcessOptions{}),
//		collectors.NewGoRuntime(),
//		collectors.NewBuildInfo(),
//	)
//
// [Process] reads one process from a Linux /proc. If there is no such /proc, it
// yields nothing, which is no error. [GoRuntime] and [BuildInfo] work everywhere.
// None of them keeps state.
//
// In a program of many processes each worker publishes its own GoRuntime, by
// package registry/publish.
//
// # Concurrency
//
// All collectors are safe for concurrent use if the functions in their
// options are.
//
// # Caveats
//
// registry.Default and registry.Directory have the same families with a series for
// each worker of a directory. One registry takes a name only once. Two registries in
// a registry.Merge take both: the series differ by the worker's label.
//
// The network metrics of client_golang's process collector are not here: they
// count all traffic of the network namespace, which every worker would show
// again as its own.
//
// What another user's process has open is a secret of the kernel's: without
// the permission, process_open_fds and the limits are left out.
package collectors
