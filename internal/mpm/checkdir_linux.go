package mpm

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// filesystemNames are likely filesystems of a metrics directory.
var filesystemNames = map[uint32]string{
	unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs",
	unix.BTRFS_SUPER_MAGIC: "btrfs", unix.F2FS_SUPER_MAGIC: "f2fs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", zfsSuperMagic: "zfs",
	unix.NFS_SUPER_MAGIC: "nfs", unix.CIFS_SUPER_MAGIC: "cifs", unix.SMB2_SUPER_MAGIC: "smb2", unix.V9FS_MAGIC: "9p",
	unix.FUSE_SUPER_MAGIC: "fuse", unix.CEPH_SUPER_MAGIC: "ceph", unix.MSDOS_SUPER_MAGIC: "vfat",
}

func filesystemOf(f *os.File) filesystem {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return filesystem{name: "a file system that says nothing of itself"}
	}
	magic := uint32(st.Type)
	name, known := filesystemNames[magic]
	if !known {
		name = fmt.Sprintf("a file system of type %#x", magic)
	}
	return filesystem{name: name, memory: magic == unix.TMPFS_MAGIC || magic == unix.RAMFS_MAGIC, locks: locksWork(f)}
}

func permissions(info os.FileInfo) os.FileMode { return info.Mode() }
