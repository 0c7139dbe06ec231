//go:build unix

package mpm

import (
	"os"
	"syscall"
)

// hasLink reports whether f is still in a directory. If that cannot be found out, it returns
// true.
func hasLink(f *os.File) bool {
	info, err := f.Stat()
	return err != nil || info.Sys().(*syscall.Stat_t).Nlink > 0
}
