// Package prefork is what every prefork server needs beside its framework: in the
// master a directory, a compactor of dead children's files and, if wanted, the merged
// metrics on a port of its own; in each child a file of its own. Packages
// compat/fasthttp and compat/fiber tie it to their frameworks' hooks; use it by
// itself for others:
//
//	if isChild() {
//		p, err = prefork.Child(prefork.Options{})
//	} else {
//		p, err = prefork.Master(prefork.Options{MetricsAddress: ":9090"})
//	}
//
// # How children die
//
// A child needs no last words. What it has counted is in its file, and the kernel
// drops the lock on that file at any death: by SIGKILL, or by os.Exit without
// defers, as Fiber's children leave when their master is gone. Forked and Died only
// make the compactor quicker, and mark the files of children on filesystems whose locks
// cannot be trusted.
//
// # The directory
//
// A master that starts compacts what its predecessor's children have left, so that
// counters go on where they were although Fiber 2 ends its master with the first
// child that dies.
//
// # Concurrency
//
// The methods of Process are safe for concurrent use.
package prefork
