package compact

import (
	"errors"
	"fmt"

	"github.com/gofrs/flock"

	"github.com/multiprom/multiprom/internal/mpm"
)

// ErrBusy is aggregate.ErrBusy.
var ErrBusy = errors.New("the directory is locked by another wipe or compaction")

// LockDir opens a directory and takes its lock, which one must hold to remove files from
// it. The kernel releases the lock when the process ends.
func LockDir(path string) (d *mpm.Dir, unlock func() error, err error) {
	for range 8 {
		if d, err = mpm.OpenDir(path); err != nil {
			return nil, nil, err
		}
		Failpoint("opened")
		l := flock.New(dirLockPath(path), flock.SetFlag(dirLockFlag))
		ok, err := l.TryLock()
		switch {
		case err != nil:
		case !ok:
			err = fmt.Errorf("%w: %s", ErrBusy, path)
		case locks(l, d):
			return d, l.Close, nil
		}
		// Somebody has replaced the directory: begin again.
		if err := errors.Join(err, l.Close(), d.Close()); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("%s is replaced by another directory all the time", path)
}
