package procs

// Usage is what a process uses. It is known only if the process in /proc is certainly the
// worker, as with Workers.
type Usage struct {
	Known   bool
	CPU     float64 // seconds, user and system
	RSS     float64 // resident bytes
	Stopped bool    // by a signal or a debugger: it does nothing until it is told to go on
}
