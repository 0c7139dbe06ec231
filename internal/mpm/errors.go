package mpm

import (
	"errors"
	"fmt"
	"syscall"
)

// Errors of opening a file for reading.
var (
	// ErrForeign: the file is not one of ours.
	ErrForeign = errors.New("not a multiprom file")
	// ErrUnsupported: a newer version wrote the file.
	ErrUnsupported = errors.New("unsupported version of the file format")
	// ErrCorrupt: the file is damaged. The error is a *CorruptionError.
	ErrCorrupt = errors.New("corrupt file")
	// ErrNotTrusted: not a regular file, or of a user whose files are not read.
	ErrNotTrusted = errors.New("file is not trusted")
	// ErrTooBig: the file is larger than the reader's cap.
	ErrTooBig = errors.New("file is too big")
)

// Errors of writing.
var (
	// ErrRecordTooLarge: a schema or the labels of a series do not fit into a block.
	ErrRecordTooLarge = errors.New("record does not fit a block")
	// ErrFull: the file cannot grow: no space, quota, or size limit.
	ErrFull = errors.New("store cannot grow")
	// ErrNotShared: on this filesystem, other processes do not see what is stored in a
	// mapped file. Use a directory on a tmpfs, such as in /dev/shm or /run.
	ErrNotShared = errors.New("what is stored in mapped memory is not seen in the file; use a directory on a tmpfs")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrDeleted: the file of an open store was deleted.
	ErrDeleted = errors.New("the metrics file was deleted")
	// ErrLocked: a process holds the file's lock, so it is alive.
	ErrLocked = errors.New("process is alive")
)

// CorruptionError says where a file is damaged. It matches ErrCorrupt.
type CorruptionError struct {
	Path   string
	Offset int64 // in bytes from the start of the file
	Reason string
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("%s: offset %d: %s", e.Path, e.Offset, e.Reason)
}

// Is reports whether target is ErrCorrupt.
func (e *CorruptionError) Is(target error) bool { return target == ErrCorrupt }

// fullError marks write errors that mean that there is no space.
func fullError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
