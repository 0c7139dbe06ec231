// Package record keeps the last minutes of a directory: the merged view and what each process
// has counted, each second. `mpctl serve --record` and supervisors write it, and
// `mpctl replay` reads it.
//
//	r, err := record.Open(path, aggregator, record.Options{Keep: 10 * time.Minute})
//	go r.Run(ctx)
//
//	err = record.Read(path, func(s *record.State) bool { … return true })
//
// # Files
//
// A recording is a directory of its own beside the one that it records, so nobody takes its
// files for those of processes. It has two files, 0.rec and 1.rec, which are written in turns.
// Each begins with all series and all values, and is replaced when the other one covers
// Options.Keep. So there are between one and two times as many minutes as asked for.
//
// Each second is a tick: what has changed since the one before. A tick is appended to
// tail.rec at once. After ten of them, all are compressed into one block of the current
// file, and the tail is cut. A kill at any moment leaves what is written: a block that is
// only half there is in the tail too, and a tick that is in both has one number.
//
// format.go has the bytes. Nothing is synced to disk: what is written survives the death of
// every process, but not that of the machine.
package record
