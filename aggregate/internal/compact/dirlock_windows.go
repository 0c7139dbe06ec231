package compact

import (
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/multiprom/multiprom/internal/mpm"
)

// A directory cannot be locked on Windows: a file in it is.
const dirLockFlag = os.O_RDWR | os.O_CREATE

func dirLockPath(dir string) string { return filepath.Join(dir, ".multiprom.lock") }

// locks: an open directory cannot be replaced on Windows.
func locks(*flock.Flock, *mpm.Dir) bool { return true }
