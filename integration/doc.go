// Package integration holds the end-to-end tests. They use real processes that are killed,
// full filesystems, PID namespaces, and the servers that scrape in production.
//
// If a server or a privilege is missing, a test that needs it is skipped and says why.
// With MULTIPROM_INTEGRATION=1, which `make integration` and CI set, it fails instead.
package integration
