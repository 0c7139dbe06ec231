//go:build unix

package compact

import (
	"os"

	"github.com/gofrs/flock"

	"github.com/multiprom/multiprom/internal/mpm"
)

// The directory itself is locked: there is no lock file that could stay.
const dirLockFlag = os.O_RDONLY

func dirLockPath(dir string) string { return dir }

// locks reports whether l is the lock of d, and d is what its path leads to.
func locks(l *flock.Flock, d *mpm.Dir) bool {
	locked, err := l.Stat()
	if err != nil {
		return false
	}
	open, err := d.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(d.Path())
	return err == nil && os.SameFile(locked, open) && os.SameFile(open, named)
}
