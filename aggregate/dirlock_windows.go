package aggregate

import (
	"os"
	"path/filepath"
)

// A directory cannot be locked on Windows: a file in it is.
const dirLockFlag = os.O_RDWR | os.O_CREATE

func dirLockPath(dir string) string { return filepath.Join(dir, ".multiprom.lock") }
