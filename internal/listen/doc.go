// Package listen opens the addresses of all servers: those of the supervisor's listeners
// and metrics, of exposition.Serve and of `mpctl serve`.
package listen
