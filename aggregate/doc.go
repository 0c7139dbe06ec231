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
//	                         all schemas; the count is that of the bucket +Inf
//	gauge all, liveall       a series per process, with the label pid
//	gauge min, max, sum,     one series
//	mostrecent
//	gauge live…              the same over living processes only
//	info                     of living processes; if none lives, of the newest
//	state set                all and liveall: per process; mostrecent: one
//
// A process that never set a gauge takes no part while another did; a gauge
// that nobody has set is 0. Sums are exact and rounded once, so that they do not
// depend on the order or grouping of processes. In the mostrecent modes a time that is
// more than a minute ahead of the reader's clock counts as older than any other: else a
// clock that is fast would hide all true values. Where living processes define
// one name differently, the schema that was seen first is served; where
// none lives, the newest. Series of the others are left out and counted. Options.Logger
// is told of each, and `mpctl families` shows them.
//
// A series of all processes together that one of them removes stays, with that
// one's part, until no living process has it; then it is gone, what the dead and
// the archive have of it included.
//
// # Life and death
//
// A process lives while it holds the lock on its file. Its counters stay for
// ever, its live gauges leave at the first scrape after its death. Processes
// are told apart by their labels: of two living ones with the same label, the
// younger gets a suffix; of dead ones the newest keeps it.
//
// [Compact] moves what dead processes have counted into one file, the archive, and
// removes theirs, so that a directory is as large as its living processes. A
// [Compactor] does so in the background. docs/lifecycle.md has every step, and what
// a kill after it leaves.
//
// # Bad files
//
// A file that is corrupt, foreign, of a newer version, not a regular file, or
// of a user who is not trusted is left out and counted, and never fails a
// scrape. A file that was readable and no longer is keeps the values of its
// last good read, so that no counter falls. So does one that changes faster than it can
// be read, which is logged once; the others are not delayed by it. `mpctl check` says why. An
// archive that cannot be read fails the scrape, since every counter would fall
// without it; only while nothing was compacted since does the last good one do.
//
// # Files of client_python
//
// Files <type>_<id>.db are merged with the others, by client_python's rules: a
// gauge that was never set counts as 0, the process label is the id. So are those of
// GitLab's client for Ruby. Their schemas come before those of native files, in the
// order of the files' names (docs/lifecycle.md, "Which schema is served").
// They hold no lock, so that they count as of living processes until they are set
// aside: by MarkProcessDead, or by a compaction with CompactOptions.Python.
//
// # Self metrics
//
//	multiprom_archive_bytes            gauge    size of the archive
//	multiprom_damaged_records          gauge    records left out of readable files
//	multiprom_discarded_calls_total    counter  lookups with wrong labels
//	multiprom_fallback_series_total    counter  series on the heap: a file was full
//	multiprom_files{state}             gauge    files, archive included: ok, corrupt,
//	                                            foreign, unsupported, untrusted,
//	                                            toobig, unreadable, consumed, stale
//	multiprom_compaction_seconds_total       counter  time that compacting took
//	multiprom_compacted_processes_total   counter  dead processes in the archive
//	multiprom_compactions_total              counter  how often some were compacted
//	multiprom_invalid_updates_total    counter  updates dropped: negative, NaN, …
//	multiprom_merge_conflicts_total    counter  series left out by a conflict
//	multiprom_overflow_series_total    counter  label sets beyond a family's limit
//	multiprom_processes{state}         gauge    live, closed, marked, dead, nostore
//	multiprom_read_series              gauge    series of files and archive read
//	multiprom_scrape_duration_seconds  gauge    reading and merging, this scrape
//	multiprom_unsettled_blocks         gauge    blocks of files that changed too fast for
//	                                            this scrape
//
// multiprom_store_fallback, of package registry, says that the process that
// answers has no file itself.
//
// # Concurrency
//
// An Aggregator is safe for concurrent use; scrapes take turns. The families
// that Gather returns are never changed again and may share their labels.
//
// # Caveats
//
// The kernel's locks are trusted only where docs/assumptions.md says so;
// elsewhere processes count as living, and nothing is compacted unless it was
// marked dead and CompactOptions.Marked is set.
package aggregate
