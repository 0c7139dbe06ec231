package mpm

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// client_python names its files by process ID, so a new process with the same ID continues
// in an existing file. Therefore a file is renamed before it is compacted. No process opens
// the new name, and it contains an incarnation by which the archive identifies the file.
// client_python's own collector reads a file under the new name like before.
//
//	gauge_all_4711.db  ->  gauge_all_4711.db_dead-<32 hex digits>.db

const (
	pythonSuffix = ".db"
	deadInfix    = "_dead-"
)

// isPythonName reports whether client_python would take a file of that name for its own: it
// looks for *.db.
func isPythonName(name string) bool {
	return strings.HasSuffix(name, pythonSuffix) && !strings.HasPrefix(name, ".")
}

// SplitDeadName returns the name that a file of client_python had before it was set aside,
// and the incarnation that it got. For any other name ok is false.
func SplitDeadName(name string) (original string, inc Incarnation, ok bool) {
	i := strings.LastIndex(name, pythonSuffix+deadInfix)
	if i < 0 {
		return "", inc, false
	}
	original = name[:i+len(pythonSuffix)]
	digits, ok := strings.CutSuffix(name[len(original)+len(deadInfix):], pythonSuffix)
	if !ok || len(digits) != 2*len(inc) || strings.ToLower(digits) != digits || !isPythonName(original) {
		return "", Incarnation{}, false
	}
	if _, err := hex.Decode(inc[:], []byte(digits)); err != nil || inc == (Incarnation{}) {
		return "", Incarnation{}, false
	}
	return original, inc, true
}

// SetAside renames a file of client_python whose content is recognized, so that no process
// opens it again, and returns its entry. A file that was set aside before keeps its name.
// The error is one of RemoveIf's, or fs.ErrNotExist. Package pyfile has the Recognizer.
func (d *Dir) SetAside(name string, is Recognizer) (Entry, error) {
	f, err := d.recognized(name, is)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	if _, _, ok := SplitDeadName(name); ok {
		return classify(name), nil
	}
	if !isPythonName(name) {
		return Entry{}, fmt.Errorf("%w: client_python does not name a file %s", ErrForeign, d.Join(name))
	}
	var inc Incarnation
	rand.Read(inc[:]) // never fails, see its documentation
	to := name + deadInfix + inc.String() + pythonSuffix
	if err := d.rename(name, to); err != nil {
		return Entry{}, err
	}
	// No other process opens the new name, so now it is certain which file this is.
	if same, err := d.has(to, f); err != nil || !same {
		return Entry{}, errors.Join(fmt.Errorf("%w: another file has taken the name %s", ErrForeign, d.Join(name)), err, d.rename(to, name))
	}
	return classify(to), nil
}

// Restore gives a file that was set aside its old name, if its content is recognized. It
// fails if another file has that name.
func (d *Dir) Restore(name string, is Recognizer) error {
	original, _, ok := SplitDeadName(name)
	if !ok {
		return fmt.Errorf("%w: %s was not set aside", ErrForeign, d.Join(name))
	}
	f, err := d.recognized(name, is)
	if err != nil {
		return err
	}
	return errors.Join(d.rename(name, original), f.Close())
}

// ErrNoLease: the system does not say whether any process has the file open for writing.
// Only Linux does, on filesystems with trusted locks, to the file's owner or a process with
// CAP_LEASE.
var ErrNoLease = errors.New("the system does not tell whether its process lives")

// OpenForWriting reports whether any process on this machine, in any namespace, has the file
// open or mapped for writing. If none has, its writer is gone. The error matches ErrNoLease
// if the system does not say.
func (d *Dir) OpenForWriting(name string) (bool, error) {
	f, err := d.openRegular(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	open, err := openForWriting(f)
	if err != nil {
		return false, &fs.PathError{Op: "ask for a lease", Path: d.Join(name), Err: err}
	}
	return open, nil
}
