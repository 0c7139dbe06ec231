//go:build unix

package aggregate

import "os"

// The directory itself is locked: there is no lock file to leave behind.
const dirLockFlag = os.O_RDONLY

func dirLockPath(dir string) string { return dir }
