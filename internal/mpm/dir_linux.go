package mpm

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dir is a directory's descriptor.
type dir struct {
	f   *os.File
	buf []byte // for list
}

func openDir(path string) (dir, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return dir{f: f}, err
}

func (d *dir) close() error { return d.f.Close() }

func (d *dir) fd() int { return int(d.f.Fd()) }

func (d *dir) join(name string) string { return d.f.Name() + "/" + name }

// Stat returns the file info of the directory.
func (d *dir) Stat() (os.FileInfo, error) { return d.f.Stat() }

// list returns the names in system order. It opens the directory again each time: on some
// versions of btrfs, a descriptor never lists files that were created after it was opened,
// even after rewinding. Callers take turns.
func (d *dir) list() (names []string, err error) {
	fd, err := unix.Openat(d.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: d.f.Name(), Err: err}
	}
	defer unix.Close(fd)
	if d.buf == nil {
		d.buf = make([]byte, 16<<10)
	}
	for {
		n, err := unix.ReadDirent(fd, d.buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, &os.PathError{Op: "readdir", Path: d.f.Name(), Err: err}
		case n <= 0:
			return names, nil
		}
		_, _, names = unix.ParseDirent(d.buf[:n], -1, names)
	}
}

// owner returns the owner of the directory.
func (d *dir) owner(info os.FileInfo) int { return ownerUID(d.f, info) }

func (d *dir) openat(name string, flags int, mode os.FileMode) (*os.File, error) {
	fd, err := unix.Openat(d.fd(), name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, uint32(mode.Perm()))
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: d.join(name), Err: err}
	}
	return os.NewFile(uintptr(fd), d.join(name)), nil
}

func (d *dir) create(name string, mode os.FileMode) (*os.File, error) {
	return d.openat(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, mode)
}

func (d *dir) open(name string) (*os.File, error) { return d.openat(name, unix.O_RDONLY, 0) }

func (d *dir) lstat(name string) (st unix.Stat_t, err error) {
	if err := unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return st, &os.PathError{Op: "lstat", Path: d.join(name), Err: err}
	}
	return st, nil
}

// has reports whether that name belongs to f.
func (d *dir) has(name string, f *os.File) (bool, error) {
	st, err := d.lstat(name)
	if err != nil {
		return false, err
	}
	var opened unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &opened); err != nil {
		return false, os.NewSyscallError("fstat", err)
	}
	return st.Dev == opened.Dev && st.Ino == opened.Ino, nil
}

// Allocated returns the space that a file takes on the filesystem.
func (d *dir) Allocated(name string) (int64, error) {
	st, err := d.lstat(name)
	return st.Blocks * 512, err
}

// openRegular opens only regular files, because opening a device or a FIFO can have side
// effects.
func (d *dir) openRegular(name string) (*os.File, error) { return d.openRegularAs(name, unix.O_RDONLY) }

// openWritable is openRegular for reading and writing.
func (d *dir) openWritable(name string) (*os.File, error) { return d.openRegularAs(name, unix.O_RDWR) }

func (d *dir) openRegularAs(name string, flags int) (*os.File, error) {
	st, err := d.lstat(name)
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrNotTrusted, d.join(name))
	}
	return d.openat(name, flags, 0)
}

// rename never replaces a file. On filesystems without RENAME_NOREPLACE it uses link and
// unlink, which do not replace one either.
func (d *dir) rename(from, to string) error {
	err := unix.Renameat2(d.fd(), from, d.fd(), to, unix.RENAME_NOREPLACE)
	if renameRefused(err) {
		if err = unix.Linkat(d.fd(), from, d.fd(), to, 0); err == nil {
			if err = unix.Unlinkat(d.fd(), from, 0); errors.Is(err, unix.ENOENT) {
				err = nil // the old name was removed meanwhile
			}
		}
	}
	return d.linkError("rename", from, to, err)
}

// renameRefused reports whether renameat2(2) is not available. EPERM is ambiguous: it is
// also the error for another user's file in a sticky directory, and a link to that file
// could never be removed again. So a call that cannot succeed decides: the kernel returns
// EBADF, a seccomp filter EPERM again.
func renameRefused(err error) bool {
	if errors.Is(err, unix.EPERM) {
		err = unix.Renameat2(-1, "x", -1, "x", unix.RENAME_NOREPLACE)
	}
	return refused(err)
}

// replace renames over an existing file.
func (d *dir) replace(from, to string) error {
	return d.linkError("rename", from, to, unix.Renameat(d.fd(), from, d.fd(), to))
}

func (d *dir) linkError(op, from, to string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: d.join(from), New: d.join(to), Err: err}
}

func (d *dir) remove(name string) error {
	if err := unix.Unlinkat(d.fd(), name, 0); err != nil {
		return &os.PathError{Op: "unlink", Path: d.join(name), Err: err}
	}
	return nil
}

// sync makes renames durable if the directory is on a disk.
func (d *dir) sync() error {
	if d.inMemory() {
		return nil
	}
	return d.f.Sync()
}

func (d *dir) inMemory() bool {
	var st unix.Statfs_t
	err := unix.Fstatfs(d.fd(), &st)
	return err == nil && (uint32(st.Type) == unix.TMPFS_MAGIC || uint32(st.Type) == unix.RAMFS_MAGIC)
}

// Touch sets a file's time to now if it is older than an hour. Stores to mapped pages do not
// change it, and cleaners such as systemd-tmpfiles rely on it.
func (d *dir) Touch(name string, now time.Time) error {
	st, err := d.lstat(name)
	if err != nil || now.Sub(time.Unix(st.Mtim.Unix())) < time.Hour {
		return err
	}
	return os.NewSyscallError("utimensat", unix.UtimesNanoAt(d.fd(), name, nil, unix.AT_SYMLINK_NOFOLLOW))
}
