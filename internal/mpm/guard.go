package mpm

import (
	"runtime"
	"runtime/debug"
)

// Guard runs fn, which reads mapped words, and returns its error. If a mapped page is gone
// because the file was truncated, Guard returns a *CorruptionError instead of letting the
// process die. fn must release its locks by deferred calls, and must not start goroutines
// that read mapped words.
func Guard(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interface {
			runtime.Error
			Addr() uintptr
		}:
			err = &CorruptionError{Path: path, Reason: "the file was shortened while it was read"}
		default:
			panic(p)
		}
	}()
	return fn()
}
