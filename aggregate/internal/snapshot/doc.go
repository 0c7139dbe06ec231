// Package snapshot reads a directory and its archive as one consistent set of open files,
// in which each process counts exactly once: in its file or in the archive.
//
// At each scrape, [Snapshot.List] opens new files and reads a new archive. Then [File.Read]
// of each of the Files tests whether the process lives, and reads what has changed. Both
// return plain values, [Changes] and [Delta]. The snapshot knows nothing of the table that
// applies them.
//
// A file that cannot be read stays in the snapshot, with the reason. If it could be read
// before, it keeps the values of its last good read. Errors of List and Read are the
// system's and may pass. Then the scrape must fail, because counters would fall without
// some of the files.
//
//	snapshot.go       the directory: List
//	file.go           one file: Read
//	python.go         one file of client_python
//	archive.go        the archive
//	processlabels.go  the process label of each file
//
// A Snapshot is not safe for concurrent use.
package snapshot
