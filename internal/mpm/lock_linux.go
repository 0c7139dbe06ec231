package mpm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockByte is the offset of the lock, far after any data.
const lockByte = 1 << 62

// lockFile takes the liveness lock on f. The lock belongs to the open file description. The
// kernel drops it when the last descriptor and mapping of f are gone, that is, when the
// process ends.
func lockFile(f *os.File) error {
	fl := unix.Flock_t{Type: unix.F_WRLCK, Start: lockByte, Len: 1}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &fl)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
		return ErrLocked
	case refused(err):
		return fmt.Errorf("%w: %w", errNoLocks, err)
	}
	return os.NewSyscallError("fcntl(F_OFD_SETLK)", err)
}

// refused reports whether err means that the system call is not available: on an old kernel,
// under gVisor, or because of a container's seccomp(2) filter.
func refused(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM)
}

// lockHeld reports whether any process holds the lock, without taking it. f must be an open
// file description other than the holder's.
func lockHeld(f *os.File, kind Liveness) (bool, error) {
	if kind != LivenessOFD {
		return true, nil // not a lock of this system, so alive until marked
	}
	held, err := askLock(f)
	if refused(err) {
		return true, nil // unknown, so alive until marked
	}
	return held, err
}

func askLock(f *os.File) (held bool, err error) {
	fl := unix.Flock_t{Type: unix.F_WRLCK, Start: lockByte, Len: 1}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &fl); err != nil {
		return false, os.NewSyscallError("fcntl(F_OFD_GETLK)", err)
	}
	return fl.Type != unix.F_UNLCK, nil
}

// locksWork reports whether the filesystem of f is known to show its locks to every process
// that shares it. On network and passthrough filesystems, other processes may not see a lock
// that was granted.
func locksWork(f *os.File) bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.TMPFS_MAGIC, unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC,
		unix.F2FS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, zfsSuperMagic, unix.RAMFS_MAGIC:
		return true
	}
	return false
}

const zfsSuperMagic = 0x2fc12fc1 // not in package unix

// probeOwnLock opens the file again by name and checks that our own lock is visible, as a
// reader does. (On a duplicate of our descriptor the answer would be "free".) If it is not
// visible, the file has no liveness.
func probeOwnLock(f *os.File, reopen func() (*os.File, error)) (Liveness, error) {
	if !locksWork(f) {
		return LivenessNone, nil
	}
	other, err := reopen()
	if err != nil {
		return LivenessNone, err
	}
	defer other.Close()
	if held, err := askLock(other); err != nil || !held {
		return LivenessNone, nil
	}
	return LivenessOFD, nil
}

// systemLiveness is the kind of lock that lockFile takes.
const systemLiveness = LivenessOFD
