//go:build unix

package prefork

import (
	"errors"
	"syscall"
)

// exists reports whether there is a process of that pid. One that was killed and not
// waited for exists.
func exists(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
