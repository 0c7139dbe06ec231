package mpm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// A name does not prove whose a file is: a metrics directory may be /tmp, where a SQLite
// database may be called counter_1.db. Functions that rename, unlink or replace a file check
// its content first, and identify the file by the same descriptor.

// Recognizer checks by its content whether a file has a certain format. The error matches
// ErrForeign if it has not.
type Recognizer func(f io.ReaderAt, size int64) error

// RemoveIf unlinks a file whose content is recognized, but not another file that takes its
// name meanwhile. A missing file is no error. The error matches ErrForeign if the content is
// not recognized, and ErrNotTrusted if it is not a regular file.
func (d *Dir) RemoveIf(name string, is Recognizer) error {
	f, err := d.recognized(name, is)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	same, err := d.has(name, f)
	if err != nil || !same {
		return err // another file has the name now
	}
	if err := d.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Remove unlinks a file of the native format or of the archive, like RemoveIf.
func (d *Dir) Remove(name string) error { return d.RemoveIf(name, recognizer(name)) }

// Recognize checks whether a file of the native format, or the archive, has the content that
// its name says, perhaps damaged. The error is one of RemoveIf's, or fs.ErrNotExist.
func (d *Dir) Recognize(name string) error {
	f, err := d.recognized(name, recognizer(name))
	if err != nil {
		return err
	}
	return f.Close()
}

// recognized opens a file whose content is recognized.
func (d *Dir) recognized(name string, is Recognizer) (*os.File, error) {
	f, err := d.openRegular(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%w: %s is not a regular file", ErrNotTrusted, d.Join(name))
	default:
		err = is(f, info.Size())
	}
	if err != nil {
		f.Close()
		if errors.Is(err, ErrForeign) {
			err = fmt.Errorf("%s: %w", d.Join(name), err)
		}
		return nil, err
	}
	return f, nil
}

// recognizer returns the Recognizer for a file of that name.
func recognizer(name string) Recognizer {
	e := classify(name)
	switch e.Kind {
	case KindNative, KindTemp:
		return func(f io.ReaderAt, size int64) error { return recognizeNative(f, size, e) }
	case KindArchive:
		return recognizeArchive
	}
	return func(io.ReaderAt, int64) error {
		return fmt.Errorf("%w: nothing of multiprom has that name", ErrForeign)
	}
}

// recognizeNative accepts a file that begins like a native file, and one that holds nothing.
// The latter is a temporary file whose process was killed before it wrote the header, or
// any file after a power loss.
func recognizeNative(f io.ReaderAt, size int64, e Entry) error {
	b, err := readAll(f, headerSize)
	if err != nil {
		return err
	}
	h, err := decodeHeader(b)
	switch {
	case errors.Is(err, ErrForeign):
		return holdsNothing(f, size)
	case err == nil && (h.Incarnation != e.Incarnation || h.PID != e.PID):
		return fmt.Errorf("%w: a copy or link of %s", ErrForeign, h.FileName())
	}
	return nil // it is ours, perhaps damaged or of a newer version
}

func recognizeArchive(f io.ReaderAt, size int64) error {
	b, err := readAll(f, int64(len(archiveMagic)))
	if err != nil || string(b) == archiveMagic {
		return err
	}
	return holdsNothing(f, size)
}

func holdsNothing(f io.ReaderAt, size int64) error {
	if size <= defaultReadBytes { // no native file is larger
		zero, err := IsZero(f, 0, size)
		if err != nil || zero {
			return err
		}
	}
	return fmt.Errorf("%w: it begins in another way", ErrForeign)
}

// IsZero reports whether the bytes of a file between two offsets are all zero. It reads
// instead of mapping, because a page that is read through a mapping takes memory even if it
// is a hole in the file.
func IsZero(f io.ReaderAt, from, to int64) (bool, error) {
	b := make([]byte, min(to-from, 32<<10))
	for from < to {
		n, err := f.ReadAt(b[:min(int64(len(b)), to-from)], from)
		for _, c := range b[:n] {
			if c != 0 {
				return false, nil
			}
		}
		if from += int64(n); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil // it was truncated
			}
			return err == nil, err
		}
	}
	return true, nil
}

// readAll returns the first n bytes of f, or fewer if f is shorter.
func readAll(f io.ReaderAt, n int64) ([]byte, error) {
	b := make([]byte, n)
	got, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:got], err
}
