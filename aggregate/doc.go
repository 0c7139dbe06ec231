// Package aggregate merges a directory of stores into one view: what a scrape of a program
// that runs as many processes should see.
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
//	native histogram         sum per bucket of the coarsest resolution that a process
//	                         has, or coarser, so that the buckets are within the least
//	                         of the limits; the largest zero threshold
//	gauge all, liveall       a series per process, with the label pid
//	gauge min, max, sum,     one series
//	mostrecent
//	gauge live…              the same over living processes only
//	info                     of living processes; if none lives, of the newest
//	state set                all and liveall: per process; mostrecent: one
//
// A process that never set a gauge does not count if another one did. A gauge that nobody has
// set is 0. Sums are exact and rounded once, so they do not depend on the order or grouping
// of processes. In the mostrecent modes, a time that is more than a minute ahead of the
// reader's clock counts as older than any other. Otherwise a fast clock would hide all true
// values.
//
// If living processes define one name differently, the schema whose first process began
// first is served; if none lives, that of the newest process. Series of the others are left
// out and counted. Options.Logger is told of each conflict, and `mpctl families` shows them.
//
// If a process removes a counter, histogram or summary, its part counts until every living
// process has removed the series. Then the whole series goes, including what dead processes
// and the archive have of it. A removed gauge or state set does not count any more
// (docs/lifecycle.md, "Removing a series").
//
// # Life and death
//
// A process lives while it holds the lock on its file. After its death its counters stay for
// ever, and its live gauges leave at the next scrape. The process label tells processes
// apart. Of two living ones with the same label, the younger gets a suffix. Of dead ones, the
// newest keeps it.
//
// [Compact] moves what dead processes have counted into one file, the archive, and removes
// their files, so the size of a directory follows the number of living processes. A
// [Compactor] does so in the background. docs/lifecycle.md has every step, and what a kill
// after it leaves.
//
// # Bad files
//
// A file that is corrupt, foreign, of a newer version, not a regular file, or of a user who
// is not trusted is left out and counted, and never fails a scrape. `mpctl check` says why. A
// file that can no longer be read keeps the values of its last good read, so no counter
// falls. So does one that changes faster than it can be read, which is logged once and does
// not delay the others.
//
// An archive that cannot be read fails the scrape, because every counter would fall without
// it. While nothing was compacted since its last good read, that is used instead.
//
// # Files of client_python
//
// Files <type>_<id>.db are merged with the others, by client_python's rules: a gauge that was
// never set counts as 0, and the process label is the ID. So are files of GitLab's client for
// Ruby. Their schemas come before those of native files, in the order of the files' names
// (docs/lifecycle.md, "Which schema is served"). These files hold no lock. Their processes
// count as living until the files are set aside, by MarkProcessDead or by a compaction with
// CompactOptions.Python.
//
// # Time to live
//
// A series with a time to live (TTL) is shown until it was idle for so long in all processes.
// Its processes then remove it, and what dead processes have counted in it leaves the archive.
// If it comes back, it begins at zero, with a new created time (docs/lifecycle.md, "Series
// that expire"). Options.TTL gives a TTL to programs that cannot be changed. Such a
// series is only hidden. When it changes, it is back with all that it has counted.
//
// # Self metrics
//
//	multiprom_archive_bytes            gauge    size of the archive
//	multiprom_damaged_records          gauge    records left out of readable files
//	multiprom_discarded_calls_total    counter  lookups with wrong labels
//	multiprom_expired_series_total     counter  series that were idle for their TTL
//	multiprom_fallback_series_total    counter  series on the heap: a file was full
//	multiprom_files{state}             gauge    files, archive included: ok, corrupt,
//	                                            foreign, unsupported, untrusted,
//	                                            toobig, unreadable, consumed, stale
//	multiprom_hidden_series            gauge    series hidden: idle for their TTL
//	multiprom_compaction_seconds_total counter  time that compacting took
//	multiprom_compacted_processes_total counter dead processes in the archive
//	multiprom_compactions_total        counter  how often some were compacted
//	multiprom_invalid_updates_total    counter  updates dropped: negative, NaN, …
//	multiprom_merge_conflicts_total    counter  series left out by a conflict
//	multiprom_overflow_series_total    counter  label sets beyond a family's limit
//	multiprom_processes{state}         gauge    live, closed, marked, dead, nostore
//	multiprom_process_unchanged_seconds{slot}  gauge  since a value of a living process was
//	                                            last seen to change; see below
//	multiprom_read_series              gauge    series of files and archive read
//	multiprom_reused_series_total      counter  new series with space that others left
//	multiprom_revived_series_total     counter  expired series that came back
//	multiprom_scrape_duration_seconds  gauge    reading and merging, this scrape
//	multiprom_unsettled_blocks         gauge    blocks of files that changed too fast for
//	                                            this scrape
//
// A slot is a number of a living process: its process ID, if that is a small number that is not
// its PID, or else the lowest that is free. The next process takes it over, so there are as
// many as processes that lived at once; those from 256 on share the slot "other". Values count
// as changed at the reading that sees it, so the age is as exact as scrapes are frequent. The
// families go_ and process_ are left out, because a stuck program publishes them too.
//
// Package registry adds multiprom_store_fallback: the process that answers has no file
// itself.
//
// # Concurrency
//
// An Aggregator is safe for concurrent use; scrapes take turns. The families
// that Gather returns are never changed again and may share their labels.
//
// # Caveats
//
// The kernel's locks are trusted only on the filesystems that docs/assumptions.md names. On
// others, processes count as living, and a file is compacted only if its process was marked
// dead and CompactOptions.Marked is set.
package aggregate
