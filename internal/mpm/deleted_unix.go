//go:build unix

package mpm

import (
	"os"
	"syscall"
)

// hasLink reports whether f is still in a directory. One that cannot be asked
// is taken to be.
func hasLink(f *os.File) bool {
	info, err := f.Stat()
	return err != nil || info.Sys().(*syscall.Stat_t).Nlink > 0
}
