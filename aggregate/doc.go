// Package aggregate merges a directory of stores into one view: what a scrape
// of a program that runs as many processes should see.
//
//	a, err := aggregate.Open("/dev/shm/app", aggregate.Options{})
//	defer a.Close()
//	families, err := a.Gather(ctx)
//
// # How values merge
//
//	counter, summary         sum over all processes, dead ones included
//	histogram                sum per upper bound over the union of the bounds of
//	                         all definitions; the count is that of the bucket +Inf
//	gauge all, liveall       a series per process, with the label pid
//	gauge min, max, sum,     one series
//	mostrecent
//	gauge live…              the same over living processes only
//	info                     of living processes; if none lives, of the newest
//	state set                all and liveall: per process; mostrecent: one
//
// A process that never set a gauge takes no part while another did; a gauge
// that nobody has set is 0. Where two processes define one name differently,
// the definition that is served stays while a living process has it; else the
// newest process's is. Series of the other are left out and counted.
//
// # Life and death
//
// A process lives while it holds the lock on its file. Its counters stay for
// ever, its live gauges leave at the first scrape behind its death. Processes
// are told apart by their labels: of two living ones with the same label, the
// younger gets a suffix; of dead ones the newest keeps it.
//
// # Bad files
//
// A file that is corrupt, foreign, of a newer version, not a regular file, or
// of a user who is not trusted is left out and counted, and never fails a
// scrape. A file that was readable and no longer is keeps the values of its
// last good read, so that no counter falls. [Aggregator.Files] says why.
//
// # Self metrics
//
//	multiprom_files{state}           gauge    files by what became of them
//	multiprom_processes{state}       gauge    live, closed, marked or dead
//	multiprom_damaged_records        gauge    records left out of readable files
//	multiprom_fallback_series        gauge    series on the heap: a file was full
//	multiprom_merge_conflicts_total  counter  series left out by a conflict
//	multiprom_invalid_updates_total  counter  updates dropped: negative, NaN, …
//	multiprom_overflow_series_total  counter  label sets beyond a family's limit
//	multiprom_discarded_calls_total  counter  lookups with wrong labels
//
// # Concurrency
//
// An Aggregator is safe for concurrent use; scrapes take turns. The families
// that Gather returns are never changed again and may share their labels.
//
// # Caveats
//
// A removal by one process lowers a merged counter, which rate reads as a
// reset. The kernel's locks are trusted only where docs/assumptions.md says so.
package aggregate
