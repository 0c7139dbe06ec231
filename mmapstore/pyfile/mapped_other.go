//go:build !linux

package pyfile

import (
	"errors"
	"os"
)

// Mappings are the .db files that processes have mapped to write them.
type Mappings struct{}

// Mapped fails: this system does not tell who maps what.
func Mapped() (Mappings, error) { return Mappings{}, errors.ErrUnsupported }

// Has reports whether a process may write the file.
func (Mappings) Has(string, os.FileInfo) bool { return false }
