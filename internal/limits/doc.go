// Package limits is the one place for what a client may cost the servers of
// metrics: [Server] bounds connections and headers for exposition.Serve, the
// supervisor and `mpctl serve`; how many scrapes run at once, and how long one
// may gather, the handler bounds (exposition.HandlerOptions).
package limits
