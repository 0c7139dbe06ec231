// Package snapshot reads a directory and its archive as one consistent set of open files,
// in which each process counts exactly once: in its file or in the archive.
//
// At each scrape [Snapshot.List] opens what is new and reads an archive that was exchanged.
// Then [File.Read], of each of the Files, asks whether the process lives and takes its
// values. Both hand on what they have found as plain values, [Changes] and [Delta]: the
// snapshot knows nothing of the tables that follow it.
//
// A file that cannot be read is part of the snapshot, with the reason. One that was
// readable keeps the values of its last good read. The errors of List and Read are those
// of the system, which may pass; then a scrape must fail, since counters without some of
// the files would fall.
//
// A Snapshot is not safe for concurrent use.
package snapshot
