//go:build unix

package supervisor

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// dupSocket duplicates a listener's descriptor close-on-exec, and sets the blocking
// mode that both share.
func dupSocket(fd int, blocking bool) (int, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstFD)
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	if err := unix.SetNonblock(dup, !blocking); err != nil {
		unix.Close(dup)
		return -1, os.NewSyscallError("fcntl", err)
	}
	return dup, nil
}

func closeFD(fd int)     { unix.Close(fd) }
func closeOnExec(fd int) { unix.CloseOnExec(fd) }

// newLink returns the two ends of the link between supervisor and worker. Readiness
// goes one way. Each side sees the other's death as the end of the stream.
func newLink() (ours *os.File, theirs int, err error) {
	// Not every Unix has SOCK_CLOEXEC. The lock prevents a fork in between.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, 0, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return linkFile(fds[0]), fds[1], nil
}

// linkFile wraps an end so that reads wait in Go's poller and end on Close.
func linkFile(fd int) *os.File {
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "link")
}

// sealListed marks all descriptors listed in dir close-on-exec.
func sealListed(dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if fd, err := strconv.Atoi(name.Name()); err == nil && fd >= firstFD {
			unix.CloseOnExec(fd) // one of them was the listing's own
		}
	}
	return nil
}

// groupOf returns the group of a file.
func groupOf(info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Gid) }
