package aggregate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/multiprom/multiprom/mmapstore"
)

// ErrInUse: living processes have files in the directory. The error is an
// *InUseError.
var ErrInUse = errors.New("living processes use the directory")

// InUseError names the files of living processes. It matches ErrInUse.
type InUseError struct {
	Dir   string
	Files []string
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("living processes use %s: %s", e.Dir, strings.Join(e.Files, ", "))
}

// Is reports whether target is ErrInUse.
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// ErrBusy: somebody else wipes or folds the directory at this moment.
var ErrBusy = errors.New("the directory is locked by another wipe or fold")

// Wipe removes the files of dead processes from dir, and returns their names:
// their counts leave the merged view. Where a process lives it removes
// nothing and returns an *InUseError, unless force is set; then it leaves the
// living ones' files alone and removes the rest. A file without liveness
// counts as living until it is marked dead.
//
// Only regular files under names that the format knows are removed, never
// through a symbolic link, never in a directory below.
func Wipe(dir string, force bool) (removed []string, err error) {
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("aggregate: wipe: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	entries, err := mmapstore.ScanDir(dir)
	if err != nil {
		return nil, fmt.Errorf("aggregate: wipe: %w", err)
	}
	var doomed, living []string
	for _, e := range entries {
		if e.Kind == mmapstore.KindOther {
			continue
		}
		info, err := os.Lstat(filepath.Join(dir, e.Name))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		alive, err := mmapstore.InUse(filepath.Join(dir, e.Name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("aggregate: wipe: %w", err)
		}
		if alive {
			living = append(living, e.Name)
		} else {
			doomed = append(doomed, e.Name)
		}
	}
	if len(living) > 0 && !force {
		return nil, &InUseError{Dir: dir, Files: living}
	}
	for _, name := range doomed {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("aggregate: wipe: %w", err)
		}
		removed = append(removed, name)
	}
	return removed, nil
}

// lockDir takes the lock under which files are removed.
// The kernel drops it when the process ends.
func lockDir(dir string) (unlock func() error, err error) {
	l := flock.New(dirLockPath(dir), flock.SetFlag(dirLockFlag))
	ok, err := l.TryLock()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrBusy, dir)
	}
	return l.Unlock, nil
}
