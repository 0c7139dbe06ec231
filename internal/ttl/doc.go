// Package ttl has the rules of series with a time to live (TTL), for those who decide about
// them: a process's janitor, readers and compactors. Whoever decides, whenever, decides alike.
//
// Each process has a part of a series. A part lasts from its created time until a TTL and a
// half, and a guard, after it was last seen to change. Parts that overlap for longer than the
// guard are one life of the series, which is over when the last of them is. Readers show a
// life until a TTL after its newest change.
//
// docs/decisions has the page that explains each rule, and internal/model explores them.
//
// All times are nanoseconds since 1970, of one clock.
package ttl
