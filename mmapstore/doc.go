// Package mmapstore writes and reads the file of one process: its metrics in mapped
// memory, which other processes read while they change. docs/format.md specifies the file,
// docs/assumptions.md what the kernel must do for it.
//
// Most programs never import it. Package multiproc has the instruments, which write to
// such a file, and package aggregate merges the files of a directory. This package is for
// authors of instruments of their own, for tools that look at a single file, and for the
// errors that tell what is wrong with one.
//
// # Writing
//
// [Create] makes this process's file in a directory. A [Schema] describes the series of a
// family once, and each [Series] has its values in words that are updated atomically,
// without a lock or a call:
//
//	store, err := mmapstore.Create(dir, mmapstore.Options{})
//	jobs, err := store.AddSchema(&metric.Schema{
//		Name: "jobs", Help: "Jobs done.", Type: metric.Counter, Labels: []string{"queue"},
//	})
//	mail, err := jobs.AddSeries("mail")
//	atomic.AddUint64(&mail.Words()[mmapstore.CellCounterInts], 1)
//
// A value is safe as soon as the update returns: if the process is killed a moment later,
// the file still has it, and so has every scrape of the directory. A process may have
// several stores, such as one of multiproc's and one of its own.
//
// # Reading
//
// [Read] returns the metrics of one file as that process has them, and who it is. [Verify]
// checks the file's structure. Both work on the files of living processes.
//
// # Concurrency
//
// All functions, and all methods of a Store, a Schema and a Series, may be called by
// several goroutines at once.
//
// # Caveats
//
// A store stays mapped and locked until its process ends, even after Close. So a process
// should create few of them. Keep the Series as long as you use its words: once a removed
// Series is unreachable, another series may get them.
package mmapstore
