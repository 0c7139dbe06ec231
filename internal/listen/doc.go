// Package listen opens the addresses that all our servers are given: of the
// supervisor's listeners and metrics, of exposition.Serve and of `mpctl serve`.
package listen
