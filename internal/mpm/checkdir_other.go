//go:build !linux

package mpm

import (
	"os"
	"runtime"
)

// filesystemOf never finds a reason for a warning.
func filesystemOf(*os.File) filesystem { return filesystem{memory: true, locks: true} }

// permissions: on Windows, Go invents them.
func permissions(info os.FileInfo) os.FileMode {
	if runtime.GOOS == "windows" {
		return 0
	}
	return info.Mode()
}
