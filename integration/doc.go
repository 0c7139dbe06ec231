// Package integration holds the end-to-end tests: real processes that are
// really killed, full filesystems, PID namespaces, and the servers that scrape
// us in production.
//
// A test that needs a server or a privilege skips with a clear reason where it
// is missing. With MULTIPROM_INTEGRATION=1, as `make integration` and CI set
// it, the test fails there instead: nothing is skipped.
package integration
