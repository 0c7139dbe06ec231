package mpm

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// ErrMode: a metrics file cannot have these permissions.
var ErrMode = errors.New("invalid permissions of a metrics file")

// ParseFileMode parses the permissions of files, such as 0600, 0640 or 0660, from octal
// digits. A metrics file must not be executable, or writable for everyone, since it would
// prove nothing then. The error matches ErrMode.
func ParseFileMode(octal string) (os.FileMode, error) {
	n, err := strconv.ParseUint(octal, 8, 32)
	switch mode := os.FileMode(n); {
	case err != nil || mode&^0o777 != 0:
		return 0, fmt.Errorf("%w: %q is not octal, like 0640", ErrMode, octal)
	case mode&0o600 != 0o600:
		return 0, fmt.Errorf("%w: with %q its owner could not read and write it", ErrMode, octal)
	case mode&0o111 != 0:
		return 0, fmt.Errorf("%w: %q makes it executable", ErrMode, octal)
	case mode&0o002 != 0:
		return 0, fmt.Errorf("%w: with %q everybody could change it", ErrMode, octal)
	default:
		return mode, nil
	}
}

// setMode restores the permissions that the umask removed. It does not call chmod
// needlessly, because some filesystems refuse it.
func setMode(f *os.File, mode os.FileMode) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() == mode {
		return err
	}
	return f.Chmod(mode)
}
