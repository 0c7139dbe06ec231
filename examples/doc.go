// Package examples has programs that are ready to be run. A test starts, loads and scrapes
// each of them.
//
// Prefork is a complete prefork server, with its supervisor. Batch pushes what processes that
// have ended have counted. Sidecar serves what other processes count, remotewrite sends it.
// Activation takes its socket from systemd. Collector, exemplars, native and ttl each show one
// thing that metrics can do.
//
// There is one for each common router, which mounts the metrics handler in an application:
// chi, echo, fasthttp, fiber, gin and nethttp.
//
//	go -C examples run ./gin 127.0.0.1:8080
//
// With PROMETHEUS_MULTIPROC_DIR, a program serves the metrics of all processes that share
// the directory. Without it, it serves its own.
package examples
