package mmapstore

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// directory is an open directory: every operation goes through its
// descriptor, so that a renamed or replaced path cannot split a sequence.
type directory struct {
	path string
	fd   int
}

func openDir(path string) (*directory, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &directory{path, fd}, nil
}

func (d *directory) close() error { return unix.Close(d.fd) }

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

func (d *directory) openat(name string, flags int, mode os.FileMode) (*os.File, error) {
	fd, err := unix.Openat(d.fd, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, uint32(mode.Perm()))
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: d.join(name), Err: err}
	}
	return os.NewFile(uintptr(fd), d.join(name)), nil
}

func (d *directory) create(name string, mode os.FileMode) (*os.File, error) {
	return d.openat(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, mode)
}

func (d *directory) open(name string) (*os.File, error) { return d.openat(name, unix.O_RDONLY, 0) }

// rename never replaces a file. Filesystems without RENAME_NOREPLACE get a
// link and an unlink, which do not either.
func (d *directory) rename(from, to string) error {
	err := unix.Renameat2(d.fd, from, d.fd, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if err = unix.Linkat(d.fd, from, d.fd, to, 0); err == nil {
			err = unix.Unlinkat(d.fd, from, 0)
		}
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: d.join(from), New: d.join(to), Err: err}
	}
	return nil
}

func (d *directory) remove(name string) error { return unix.Unlinkat(d.fd, name, 0) }
