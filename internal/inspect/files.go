package inspect

import "errors"

// Files returns what became of each native file and of the archive at the aggregator's last
// Gather, in the order of their names.
var Files func(aggregator any) []File

// File is one file of the directory and what became of it.
type File struct {
	Name  string
	State FileState
	Err   error // nil if State is OK
}

// FileState is what became of a file.
type FileState string

// The states, as the label state of multiprom_files has them.
const (
	OK          FileState = "ok"
	Corrupt     FileState = "corrupt"
	Foreign     FileState = "foreign"
	Unsupported FileState = "unsupported"
	Untrusted   FileState = "untrusted"
	TooBig      FileState = "toobig"
	Unreadable  FileState = "unreadable"
	Consumed    FileState = "consumed" // it is back, although its values are in the archive
	Stale       FileState = "stale"    // it changes faster than it can be read; what was read last is shown
)

// FileStates are all states.
var FileStates = []FileState{OK, Corrupt, Foreign, Unsupported, Untrusted, TooBig, Unreadable, Consumed, Stale}

// ErrConsumed: the file was compacted and removed, and is back, such as from a backup. Its
// values are in the archive and are not counted twice.
var ErrConsumed = errors.New("its values are in the archive already: remove it (was it restored from a backup?)")
