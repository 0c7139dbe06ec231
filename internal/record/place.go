package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// errPlace is wrapped by errors about a place that somebody else has prepared. DIR.recording
// is often in /dev/shm, where anyone may take the name first: a recorder with more rights must
// not be led to other files.
var errPlace = errors.New("not a safe place to record")

// makePlace makes the folder of a recording. One that is there must be a folder itself, not a
// link to one, and belong to this user or to root.
func makePlace(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%w: %s is a symbolic link", errPlace, dir)
	case !trusted(info):
		return fmt.Errorf("%w: %s belongs to another user", errPlace, dir)
	}
	return nil
}

// openFile opens a file of the recording for writing: no link, and nobody else's. flags are those
// of os.OpenFile.
func openFile(dir, name string, flags int) (*os.File, error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_RDWR|noFollow|flags, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || !trusted(info) || links(info) > 1) {
		err = fmt.Errorf("%w: %s is not a file of this user alone", errPlace, path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// createFile makes a new file, in the place of one that a kill has left.
func createFile(dir, name string) (*os.File, error) {
	if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return openFile(dir, name, os.O_CREATE|os.O_EXCL)
}

// readFile reads a file of a recording. It opens no link and waits for no FIFO.
func readFile(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", errPlace, path)
	}
	return os.ReadFile(path)
}
