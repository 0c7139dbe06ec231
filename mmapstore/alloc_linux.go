package mmapstore

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate reserves n zero bytes of disk at off.
func allocate(f *os.File, off, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, off, n)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP):
			return writeZeros(f, off, n)
		}
		return os.NewSyscallError("fallocate", err)
	}
}
