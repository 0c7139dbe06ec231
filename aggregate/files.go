package aggregate

import (
	"errors"

	"github.com/multiprom/multiprom/internal/mpm"
)

// FileState is what became of a file.
type FileState string

// The states, as the label state of multiprom_files has them.
const (
	FileOK          FileState = "ok"
	FileCorrupt     FileState = "corrupt"
	FileForeign     FileState = "foreign"
	FileUnsupported FileState = "unsupported"
	FileUntrusted   FileState = "untrusted"
	FileTooBig      FileState = "toobig"
	FileUnreadable  FileState = "unreadable"
	FileConsumed    FileState = "consumed" // it is back, though its values are in the archive
)

var fileStates = []FileState{FileOK, FileCorrupt, FileForeign, FileUnsupported, FileUntrusted, FileTooBig, FileUnreadable, FileConsumed}

// FileStatus is one file of the directory and what became of it.
type FileStatus struct {
	Name  string
	State FileState
	Err   error // nil when State is FileOK
}

func stateOf(err error) FileState {
	for _, s := range []struct {
		err   error
		state FileState
	}{
		{nil, FileOK}, {mpm.ErrForeign, FileForeign}, {mpm.ErrUnsupported, FileUnsupported},
		{mpm.ErrNotTrusted, FileUntrusted}, {mpm.ErrTooBig, FileTooBig}, {mpm.ErrCorrupt, FileCorrupt}, {ErrConsumed, FileConsumed},
	} {
		if errors.Is(err, s.err) {
			return s.state
		}
	}
	return FileUnreadable
}
