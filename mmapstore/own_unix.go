//go:build unix

package mmapstore

import (
	"os"
	"syscall"
)

// giveToOwner gives a file that root made to the directory's owner.
func giveToOwner(f *os.File, dir os.FileInfo) error {
	st, ok := dir.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || st.Uid == 0 {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}
