package mpm

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Verify checks the structure of a whole file, more thoroughly than a reader: every block,
// record and checksum, that words are inside CELLS blocks, and that no two series or regions
// share words. It returns the problems in the order of their offsets, or none if the file is
// sound. A file of a live process can be verified while it grows.
//
// If the file cannot be read at all, the error is Open's.
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
	return nil, fmt.Errorf("mmapstore: verify %s: %w", path, ErrStale)
}

// verify reads the file once. settled says that what it found belongs together, so the
// problems are real.
func (r *Reader) verify() (problems []CorruptionError, settled bool, err error) {
	err = r.Refresh()
	if err == nil {
		err = Guard(r.path, func() error {
			details, total := r.Damaged()
			problems = append(problems, details...)
			if more := total - len(details); more > 0 {
				problems = append(problems, CorruptionError{Path: r.path, Reason: fmt.Sprintf("%d more damaged records", more)})
			}
			problems = append(problems, r.futures(time.Now())...)
			valid, err := r.Valid()
			settled = r.Unsettled() == 0 && valid
			return err
		})
	}
	var c *CorruptionError
	if errors.As(err, &c) {
		return append(problems, *c), true, nil
	}
	return problems, settled, err
}

// mostAhead is how far active may be ahead of the clock. The clocks are those of one machine,
// and active is rounded.
const mostAhead = time.Minute

// futures returns the live series that say that they changed in the future. They would expire
// late.
func (r *Reader) futures(now time.Time) (problems []CorruptionError) {
	list := r.List()
	for i := range list.Len() {
		if !list.Has(i) {
			continue
		}
		if ahead := time.Duration(list.ActiveNanos(i) - now.UnixNano()); ahead > mostAhead {
			s := list.At(i)
			problems = append(problems, CorruptionError{
				Path: r.path, Offset: s.Offset() + offSerActive, Reason: fmt.Sprintf("a series of %s was active last in %v", s.Schema.Name, ahead.Round(time.Second)),
			})
			if len(problems) == maxDamageDetails {
				break
			}
		}
	}
	return problems
}

// MarkDead marks the process of a file dead by force. Readers then leave out its live gauges,
// even if it is alive. It needs write permission for the file. It never makes the file of a
// live process compactable. The error is Open's if the file is not a native file.
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
	// One aligned word, which a reader sees whole (docs/format.md).
	_, err = f.WriteAt(le.AppendUint64(nil, 1), offMarked)
	return err
}
