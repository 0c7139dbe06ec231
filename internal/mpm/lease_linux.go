package mpm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openForWriting asks for a read lease (fcntl(2), F_SETLEASE). The kernel grants it only if
// no process has the file open for writing; a mapping counts even if its descriptor is
// closed. f is open for reading. A process that opens the file meanwhile waits some
// microseconds until the lease is released.
func openForWriting(f *os.File) (bool, error) {
	if !locksWork(f) {
		return false, fmt.Errorf("%w: locks of this filesystem are not trusted", ErrNoLease)
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch {
	case err == nil:
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return false, err
	case errors.Is(err, unix.EAGAIN):
		return true, nil
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return false, fmt.Errorf("%w: that takes the file's owner or CAP_LEASE: %w", ErrNoLease, err)
	}
	return false, fmt.Errorf("%w: %w", ErrNoLease, err)
}
