//go:build unix && !linux

package mpm

import (
	"os"
	"syscall"
)

// nobody is the owner of a file whose owner is not known.
const nobody = -1

// ownerUID returns the owner of the file.
func ownerUID(_ *os.File, info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// giveToOwner gives a file that root created to the directory's owner.
func (d *Dir) giveToOwner(f *os.File, info os.FileInfo) error {
	if uid := d.owner(info); os.Geteuid() == 0 && uid != 0 {
		return f.Chown(uid, int(info.Sys().(*syscall.Stat_t).Gid))
	}
	return nil
}
