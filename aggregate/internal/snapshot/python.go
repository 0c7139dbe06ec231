package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// isPython reports whether client_python would read the file.
func isPython(e mpm.Entry) bool { return e.Kind == mpm.KindPython }

// isPythonFile reports whether the file is one of client_python that can be read.
func isPythonFile(f *File) bool { return f.Python != nil }

// OriginalName returns the name that a file of client_python has for its
// process, whether it was set aside or not.
func OriginalName(name string) string {
	if original, _, ok := mpm.SplitDeadName(name); ok {
		return original
	}
	return name
}

// openPython is openFile for files of client_python. It opens the file, or goes on with the
// one that is open, and reads the records that are new. These files hold no lock. Their
// processes count as living until the files are set aside.
func (o *opener) openPython(e mpm.Entry) (*File, error) {
	info, err := os.Lstat(o.dir.Join(e.Name))
	if err != nil {
		return nil, err
	}
	// What has the name of a known file may be another one, and a known file may
	// have a new name.
	var f *File
	for _, known := range o.python[OriginalName(e.Name)] {
		if known.Python.Same(info) {
			f = known
		}
	}
	if f == nil {
		r, err := pyfile.Open(o.dir, e.Name, o.keys, o.opts)
		switch {
		case errors.Is(err, fs.ErrNotExist), IsTransient(err):
			return nil, err
		case err != nil:
			return &File{Name: e.Name, Err: err}, nil
		}
		f = &File{Name: e.Name, Python: r, buf: o.buf}
		o.opened = append(o.opened, f)
		o.learn(f)
	}
	if err := f.rename(o.dir, e.Name); err != nil {
		return nil, err
	}
	if f.Python.Same(info) {
		f.Python.Note(info) // one that was just opened may be another already
	}
	if f.Err = f.Python.CutAt(info.Size()); f.Err == nil {
		f.Err = f.Python.Refresh(o.dir)
	}
	if IsTransient(f.Err) || errors.Is(f.Err, fs.ErrNotExist) {
		return nil, f.Err
	}
	f.taken = false
	if o.mapped++; o.mapped > MaxMapped {
		if err := f.ReadPython(); err != nil {
			return nil, err
		}
		f.taken = true
		return f, f.Python.Close()
	}
	return f, nil
}

// MaxMapped is how many files of client_python stay mapped between scrapes. A process may
// have 65,530 mappings. Files beyond MaxMapped are mapped at each scrape and unmapped right
// after they are read.
var MaxMapped = 32_768

// rename notes the name that a file of client_python has now.
func (f *File) rename(d *mpm.Dir, name string) error {
	if f.Known && f.Name == name {
		return nil
	}
	if err := f.Python.Renamed(d, name); err != nil {
		return err
	}
	n := f.Python.Name()
	// Nobody knows how old its process is.
	f.Header = mpm.Header{Label: n.ID, Incarnation: n.Incarnation, Created: time.Unix(0, 0)}
	f.Name, f.Known, f.Live = name, true, !n.Dead
	return nil
}

// ReadPython is Read for a file of client_python. If the file can no longer be read, the
// values of the last good read stay.
func (f *File) ReadPython() error {
	if f.Err != nil || f.taken {
		f.Changed, f.taken = f.Changed && f.taken, false
		return nil
	}
	r := f.Python
	err := mpm.Guard(f.Name, func() error {
		f.buf.values = r.AppendValues(f.buf.values[:0])
		return nil
	})
	if err != nil {
		f.Err, f.Changed = err, false
		return nil
	}
	f.Families, f.Epoch, f.Bytes = r.Schemas(), r.Epoch(), r.Bytes()
	f.keep()
	damage := r.Damaged()
	f.Damaged = len(damage)
	if len(damage) > 0 {
		f.Err = &damage[0]
		if len(damage) > 1 {
			f.Err = fmt.Errorf("%w, and %d more", f.Err, len(damage)-1)
		}
	}
	return nil
}

// OwnGauges reports whether a file of client_python has gauges of its process alone that
// stay in the view after its death.
func (f *File) OwnGauges() bool {
	n := f.Python.Name()
	return n.Type == metric.Gauge && n.Mode == metric.ModeAll
}

// EachPythonSeries calls fn with every series of a file of client_python, with some more
// than once. The schema has name, type and mode only.
func (f *File) EachPythonSeries(fn func(*metric.Schema, metric.Labels)) {
	keys := f.Python.Keys()
	kind := keys.Kind()
	for _, k := range f.Python.Records() {
		series := keys.Keys()[k].Series
		family := keys.Families()[keys.FamilyOf(series)]
		fn(&metric.Schema{Name: family.Name, Type: kind.Type, Mode: kind.Mode}, keys.AppendLabels(nil, series))
	}
}

// KeysKept is how many keys are kept although no file may have them any more.
const KeysKept = 10_000

// dropKeys replaces the keys once most of them are of files that are gone, and reports
// whether it did. It parses the files again. One that cannot be parsed keeps its old keys
// and values.
func (s *Snapshot) dropKeys(d *mpm.Dir) (dropped bool) {
	records := 0
	for _, f := range s.Files {
		if f.Python != nil {
			records += len(f.Python.Records())
		}
	}
	if s.Keys.Len() <= 2*records+KeysKept {
		return false
	}
	s.Keys = &pyfile.Keys{}
	for _, f := range s.Files {
		if f.Python == nil {
			continue
		}
		mapped := f.Python.Mapped()
		f.Err = f.Python.Rewind(d, s.Keys)
		if !mapped {
			f.Python.Close()
		}
	}
	return true
}
