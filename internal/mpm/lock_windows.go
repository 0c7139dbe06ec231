package mpm

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockOffsetHigh puts the lock at byte 2^62. Locks are mandatory on Windows, so a lock over
// data would block readers.
const lockOffsetHigh = 1 << 30

func lockFile(f *os.File) error {
	return lockRange(f, windows.LOCKFILE_EXCLUSIVE_LOCK)
}

func lockRange(f *os.File, flags uint32) error {
	ol := &windows.Overlapped{OffsetHigh: lockOffsetHigh}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, ol)
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		return ErrLocked
	}
	return err
}

// lockHeld takes a shared lock for a moment, because Windows has no query.
func lockHeld(f *os.File, kind Liveness) (bool, error) {
	if kind != LivenessWin {
		return true, nil
	}
	if err := lockRange(f, 0); err == ErrLocked {
		return true, nil
	} else if err != nil {
		return false, err
	}
	ol := &windows.Overlapped{OffsetHigh: lockOffsetHigh}
	return false, windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, ol)
}

func probeOwnLock(*os.File, func() (*os.File, error)) (Liveness, error) { return LivenessWin, nil }

// systemLiveness is the kind of lock that lockFile takes.
const systemLiveness = LivenessWin

// locksWork: there is no list of filesystems for this system.
func locksWork(*os.File) bool { return true }
