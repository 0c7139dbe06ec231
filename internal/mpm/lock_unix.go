//go:build unix && !linux

package mpm

import (
	"os"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// lockFile takes the liveness lock on f with flock(2): it belongs to the open
// file description and ends with the process.
func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return ErrLocked
	}
	return err
}

// lockHeld takes a shared lock for a moment, because flock(2) has no query. A writer takes
// its lock before the file has its final name, so a probe never gets in its way.
func lockHeld(f *os.File, kind Liveness) (bool, error) {
	if kind != LivenessFlock {
		return true, nil
	}
	l := flock.New(f.Name(), flock.SetFlag(os.O_RDONLY))
	ok, err := l.TryRLock()
	if err != nil {
		return false, err
	}
	return !ok, l.Close()
}

func probeOwnLock(_ *os.File, reopen func() (*os.File, error)) (Liveness, error) {
	other, err := reopen()
	if err != nil {
		return LivenessNone, err
	}
	defer other.Close()
	if held, err := lockHeld(other, LivenessFlock); err != nil || !held {
		return LivenessNone, nil
	}
	return LivenessFlock, nil
}

// systemLiveness is the kind of lock that lockFile takes.
const systemLiveness = LivenessFlock

// locksWork: there is no list of filesystems for this system.
func locksWork(*os.File) bool { return true }
