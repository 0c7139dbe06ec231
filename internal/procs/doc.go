// Package procs reads what the operating system knows of processes, from a Linux /proc: one
// process for collectors.NewProcess, and all workers of a directory for package registry.
//
//	c := procs.NewWorkers(procs.WorkersOptions{List: list})
//	families, err := c.Collect(ctx)
//
// If there is no such /proc, there are no families, and no error.
package procs
