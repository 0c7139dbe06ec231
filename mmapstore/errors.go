package mmapstore

import "github.com/multiprom/multiprom/internal/mpm"

// Errors of opening a file for reading: what the file is.
var (
	// ErrForeign: the file is not one of ours.
	ErrForeign = mpm.ErrForeign
	// ErrUnsupported: a newer version wrote the file.
	ErrUnsupported = mpm.ErrUnsupported
	// ErrCorrupt: the file is ours and damaged. The error is a *CorruptionError.
	ErrCorrupt = mpm.ErrCorrupt
	// ErrNotTrusted: not a regular file, or of a user whose files are not read.
	ErrNotTrusted = mpm.ErrNotTrusted
	// ErrTooBig: the file is larger than the reader's cap.
	ErrTooBig = mpm.ErrTooBig
)

// Errors of writing.
var (
	// ErrRecordTooLarge: a schema or the labels of a series do not fit a block.
	ErrRecordTooLarge = mpm.ErrRecordTooLarge
	// ErrFull: the file cannot grow: no space, quota, or size limit.
	ErrFull = mpm.ErrFull
	// ErrNotShared: other processes do not see what is stored in a mapped file of that
	// filesystem. A directory on a tmpfs, such as in /dev/shm or /run, has no such fault.
	ErrNotShared = mpm.ErrNotShared
	// ErrClosed: the store was closed.
	ErrClosed = mpm.ErrClosed
	// ErrDeleted: somebody has deleted the file of a store that is open.
	ErrDeleted = mpm.ErrDeleted
	// ErrLocked: a process holds the file's lock, so it is alive.
	ErrLocked = mpm.ErrLocked
)

// CorruptionError says where a file is damaged. It matches ErrCorrupt.
type CorruptionError = mpm.CorruptionError
