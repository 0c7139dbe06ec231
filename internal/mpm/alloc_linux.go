package mpm

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// allocate reserves n zero bytes of disk at off.
func allocate(f *os.File, off, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, off, n)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), refused(err):
			return writeZeros(f, off, n)
		}
		return os.NewSyscallError("fallocate", err)
	}
}

// punch frees n bytes of disk at off; they read as zeros from then on.
func punch(f *os.File, off, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fallocate", err)
		}
	}
}

// populate has the kernel map the pages of b, which are allocated, in one call instead of
// one fault each. If it cannot (before Linux 5.14), pages are mapped as they are touched.
func populate(b []byte) { _ = unix.Madvise(b, unix.MADV_POPULATE_WRITE) }

// allocatedBytes returns the space that a file takes on the filesystem, or -1 if it is not known.
func allocatedBytes(info os.FileInfo) int64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return st.Blocks * 512
}
