// Package mpm holds the samples of one process in one memory-mapped
// file: one writer, many readers in other processes, and no message between
// them. docs/format.md specifies the file, docs/assumptions.md what the kernel
// must do for it. The package knows bytes; it knows neither HTTP nor merging.
//
//	store, err := mpm.Create(dir, mpm.Options{})
//	family, err := store.AddSchema(&metric.Schema{
//		Name: "jobs", Help: "Jobs done.", Type: metric.Counter, Labels: []string{"queue"},
//	})
//	series, err := store.AddSeries(family, []string{"mail"}, nil)
//	atomic.AddUint64(&series.Words()[mpm.CellCounterInts], 1)
//
// From then on, whatever becomes of the process, a reader sees the 1:
//
//	reader, err := mpm.Open(path, mpm.ReadOptions{})
//	err = reader.Refresh()
//	for _, s := range reader.Series() { … s.Words() … }
//
// # The types
//
// A [Store] writes: to a file after [Create], to the heap after [NewHeap]. A
// [SchemaRef] is a schema in a store, a [Series] the handle of one label set
// with its words. A [Reader] reads a file, or with [Store.Reader] a store of
// this process; those of one directory share a [SymbolTable]. A [Dir] is an open
// directory, with the [Archive] of processes that were compacted; [Verify] checks a
// file's structure.
//
// # Concurrency
//
// A Store is safe for concurrent use. Words are only ever accessed atomically;
// updating them needs no lock and no call into this package. A Reader belongs
// to one goroutine at a time.
//
// # Caveats
//
// A mapped store stays mapped and locked until its process ends, also after
// Close: handles may still be written through. A file that shrinks while it is
// mapped makes readers fault; they run under [Guard], writers cannot.
package mpm
