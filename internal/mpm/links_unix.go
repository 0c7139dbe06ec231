//go:build unix

package mpm

import (
	"os"
	"syscall"
)

// links returns the number of names of the file.
func links(info os.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return uint64(st.Nlink)
}
