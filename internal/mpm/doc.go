// Package mpm keeps the samples of one process in a memory-mapped file. The file has one
// writer and many readers in other processes, which exchange no messages. docs/format.md
// specifies the file, docs/assumptions.md what the kernel must do for it. The package
// handles bytes; it knows nothing of HTTP or merging.
//
//	store, err := mpm.Create(dir, mpm.Options{})
//	family, err := store.AddSchema(&metric.Schema{
//		Name: "jobs", Help: "Jobs done.", Type: metric.Counter, Labels: []string{"queue"},
//	})
//	series, err := store.AddSeries(family, []string{"mail"}, nil)
//	atomic.AddUint64(&series.Words()[mpm.CellCounterInts], 1)
//
// From then on a reader sees the 1, whatever happens to the process:
//
//	reader, err := mpm.Open(path, mpm.ReadOptions{})
//	now, err := reader.Read(values, removed, regions)
//	series := reader.List()
//	values = now.Live.Apply(values, &series)
//
// A [Reading] says what has come, gone and changed since the one before it.
//
// # The types
//
// A [Store] writes: to a file after [Create], to the heap after [NewHeap]. A [SchemaRef] is a
// schema in a store, and a [Series] the handle of one label set with its words. A [Reader]
// reads a file, or with [Store.Reader] a store of this process. [Reader.Read] returns a
// Reading, in which series have numbers. A [SeriesList] leads from a number to the labels.
// The readers of a directory share a [SymbolTable]. A [Dir] is an open directory, with the
// [Archive] of compacted processes. [Verify] checks a file's structure.
//
// # Concurrency
//
// A Store is safe for concurrent use. Words are only accessed atomically; updating them
// needs no lock and no call into this package. A Reader belongs to one goroutine at a time.
//
// A writer never waits for readers. It gives the words of a removed series to another one
// only after Options.KeepRemoved, so a reader that needs less than half of that has read the
// right words. A slower one returns [ErrStale].
//
// # Caveats
//
// A mapped store stays mapped and locked until its process ends, even after Close, because
// handles may still be in use. A file that shrinks while it is mapped makes readers fault.
// They run under [Guard]; writers cannot.
package mpm
