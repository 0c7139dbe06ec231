package mpm

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Verify checks the structure of a whole file, more than a reader needs:
// every block, record and checksum, that words lie inside CELLS blocks and
// that no two series share them. It returns what is wrong, in the order of the
// offsets found; none means that the file is sound. A file of a live process
// can be verified while it grows.
//
// The error is Open's, where the file cannot be read at all.
func Verify(path string, opts ReadOptions) ([]CorruptionError, error) {
	r, err := Open(path, opts)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for range 64 {
		problems, settled, err := r.verify()
		if err != nil || settled {
			return problems, err
		}
	}
	return nil, fmt.Errorf("mmapstore: verify %s: its writer removes series faster than they can be read", path)
}

// verify reads the file once. settled says that the problems are the file's,
// and not of a record that changed its meaning meanwhile.
func (r *Reader) verify() (problems []CorruptionError, settled bool, err error) {
	err = r.Refresh()
	if err == nil {
		err = Guard(r.path, func() error {
			details, total := r.Damaged()
			problems = append(problems, details...)
			if more := total - len(details); more > 0 {
				problems = append(problems, CorruptionError{Path: r.path, Reason: fmt.Sprintf("%d more damaged records", more)})
			}
			settled = r.Unchanged()
			return nil
		})
	}
	var c *CorruptionError
	if errors.As(err, &c) {
		return append(problems, *c), true, nil
	}
	return problems, settled, err
}

// MarkDead marks the process of a file dead by force: readers then leave its
// live gauges out although it may live. It needs the right to write the file.
// It never makes the file of a live process compactable. The error is Open's if the file
// is not one of ours.
func MarkDead(path string) error {
	f, err := openToMark(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := readAll(f, headerSize)
	if err != nil {
		return err
	}
	h, err := decodeHeader(b)
	if err == nil && h.FileName() != filepath.Base(path) {
		err = fmt.Errorf("%w: a copy or link of %s", ErrForeign, h.FileName())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// One aligned word: a reader sees it whole (docs/format.md).
	_, err = f.WriteAt(le.AppendUint64(nil, 1), offMarked)
	return err
}
