//go:build unix

package record

import (
	"io/fs"
	"os"
	"syscall"
)

const noFollow = syscall.O_NOFOLLOW

// trusted reports whether a file or folder belongs to this user or to root.
func trusted(info fs.FileInfo) bool {
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	return uid == 0 || uid == os.Geteuid()
}

func links(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Nlink) }
