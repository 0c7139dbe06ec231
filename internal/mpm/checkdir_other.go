//go:build !linux

package mpm

import (
	"os"
	"runtime"
)

// filesystemOf knows nothing that would be worth a warning.
func filesystemOf(*os.File) filesystem { return filesystem{memory: true, locks: true} }

// permissions: those that Go shows on Windows are made up.
func permissions(info os.FileInfo) os.FileMode {
	if runtime.GOOS == "windows" {
		return 0
	}
	return info.Mode()
}
