package aggregate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/multiprom/multiprom/mmapstore"
	"github.com/multiprom/multiprom/mmapstore/pyfile"
)

// isPython reports whether client_python would read the file.
func isPython(e mmapstore.Entry) bool {
	return strings.HasSuffix(e.Name, ".db") && !strings.HasPrefix(e.Name, ".")
}

// openPython opens a file of client_python, or goes on with one that is open,
// and reads the records that are new. It is openFile for such files: they hold
// no lock, and count as of a living process.
func openPython(d *mmapstore.Dir, e mmapstore.Entry, f *file, opts mmapstore.ReadOptions) (*file, error) {
	if f != nil && f.python != nil {
		info, err := os.Lstat(d.Join(e.Name))
		if err != nil {
			return nil, err
		}
		if !f.python.Same(info) {
			f = nil // another file has taken its name
		}
	}
	if f == nil || f.python == nil {
		r, err := pyfile.Open(d, e.Name, opts)
		switch {
		case errors.Is(err, fs.ErrNotExist), isTransient(err):
			return nil, err
		case err != nil:
			return &file{name: e.Name, err: err}, nil
		}
		f = &file{name: e.Name, python: r, known: true, live: true, label: r.Name().ID}
		// How old its process is, nobody knows.
		f.header = mmapstore.Header{Label: r.Name().ID, Created: time.Unix(0, 0)}
	}
	f.err = f.python.Refresh(d)
	if isTransient(f.err) {
		return nil, f.err
	}
	return f, nil
}

// readPython takes the values. Where the file has become unreadable, those of
// the last good read stay.
func (f *file) readPython() error {
	if f.err != nil {
		return nil
	}
	r := f.python
	var values []uint64
	err := mmapstore.Guard(f.name, func() error {
		values = r.AppendValues(f.spare[:0])
		return nil
	})
	if err != nil {
		f.err = err
		return nil
	}
	f.families, f.series, f.epoch, f.bytes = r.Families(), r.Series(), r.Epoch(), r.Bytes()
	f.spare, f.values = f.values, values
	if damage := r.Damaged(); len(damage) > 0 {
		f.damaged, f.err = len(damage), &damage[0]
		if len(damage) > 1 {
			f.err = fmt.Errorf("%w, and %d more", f.err, len(damage)-1)
		}
	}
	return nil
}
