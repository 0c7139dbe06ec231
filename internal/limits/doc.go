// Package limits has the limits that protect metrics servers from their clients. [Server]
// bounds connections and headers for exposition.Serve, the supervisor and `mpctl serve`.
// The handler bounds how many scrapes run at once and how long one may gather
// (exposition.HandlerOptions).
package limits
