// Package lifetime has the rule of series with a time to live: which parts of a series are one
// life, when a life ends, and which life readers show. It is the only home of the rule.
// Janitors, readers and compactors go by it, so all of them decide alike, whenever they do
// (docs/lifecycle.md; internal/model explores it).
//
// A part is one process's record of a series, or what the archive has of it. It lasts from
// its created time until three halves of a time to live, and a guard, after it was active
// last. Parts that overlap are one life, which ends at the latest end of them. A life is
// shown until a time to live after one of its parts was active last.
//
// The package does no I/O and knows no clock.
package lifetime
