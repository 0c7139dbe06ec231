// Package mmapstore has the errors that say what is wrong with a metrics file, of
// whatever package returns them. docs/format.md specifies the file.
//
//	if err := workers.Open(dir); errors.Is(err, mmapstore.ErrFull) {
//		log.Print("no space for metrics: ", err)
//	}
package mmapstore
