package mmapstore

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
)

// Verify checks the structure of a file: a native one, one of client_python, or the archive
// of a directory. It checks more than Read needs: every block, record and checksum, and that
// no two series share a word. It returns what is damaged; nothing means that the file is
// sound. The error matches ErrForeign, ErrUnsupported, ErrNotTrusted, ErrTooBig or one of
// package fs.
func Verify(path string, opts ReadOptions) ([]CorruptionError, error) {
	var found []CorruptionError
	var err error
	switch {
	case isArchive(path):
		err = verifyArchive(path, opts.internal())
	case isPython(path):
		found, err = verifyPython(path, opts.internal())
	default:
		found, err = mpm.Verify(path, opts.internal())
	}
	var damage *CorruptionError
	if errors.As(err, &damage) {
		return append(found, *damage), nil
	}
	return found, err
}

func verifyArchive(path string, opts mpm.ReadOptions) error {
	d, err := mpm.OpenDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.ReadArchive(opts)
	return err
}

func verifyPython(path string, opts mpm.ReadOptions) ([]CorruptionError, error) {
	d, err := mpm.OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	r, err := pyfile.Open(d, filepath.Base(path), &pyfile.Keys{}, opts)
	if errors.Is(err, ErrCorrupt) && starts(d, filepath.Base(path)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	err = r.Refresh(d)
	return r.Damaged(), err
}

// starts reports whether a process of client_python has just created the file, which is
// empty for a moment.
func starts(d *mpm.Dir, name string) bool {
	info, err := os.Lstat(d.Join(name))
	if err != nil || info.Size() > 0 {
		return false
	}
	written, err := d.OpenForWriting(name)
	return err == nil && written
}
