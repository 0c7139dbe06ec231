package mpm

import (
	"runtime"
	"runtime/debug"
)

// Guard runs fn, which reads mapped words, and returns its error. Where a
// mapped page is gone because somebody shortened the file, it returns a
// *CorruptionError instead of letting the process die. fn must hold no lock
// that it does not release by a deferred call, and start no goroutine that
// reads mapped words.
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
