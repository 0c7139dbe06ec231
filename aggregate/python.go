package aggregate

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
func isPythonFile(f *file) bool { return f.python != nil }

// pythonOriginal returns the name that a file of client_python has for its
// process, whether it was set aside or not.
func pythonOriginal(name string) string {
	if original, _, ok := mpm.SplitDeadName(name); ok {
		return original
	}
	return name
}

// openPython opens a file of client_python, or goes on with one that is open,
// and reads the records that are new. It is openFile for such files: they hold
// no lock, and count as of a living process until they are set aside.
func (o *opener) openPython(e mpm.Entry) (*file, error) {
	info, err := os.Lstat(o.dir.Join(e.Name))
	if err != nil {
		return nil, err
	}
	// What has the name of a known file may be another one, and a known file may
	// have a new name.
	var f *file
	for _, known := range o.python[pythonOriginal(e.Name)] {
		if known.python.Same(info) {
			f = known
		}
	}
	if f == nil {
		r, err := pyfile.Open(o.dir, e.Name, o.keys, o.opts)
		switch {
		case errors.Is(err, fs.ErrNotExist), isTransient(err):
			return nil, err
		case err != nil:
			return &file{name: e.Name, err: err}, nil
		}
		f = &file{name: e.Name, python: r, buf: o.buf}
		o.opened = append(o.opened, f)
		o.learn(f)
	}
	if err := f.rename(o.dir, e.Name); err != nil {
		return nil, err
	}
	if f.python.Same(info) {
		f.python.Note(info) // one that was just opened may be another already
	}
	if f.err = f.python.CutAt(info.Size()); f.err == nil {
		f.err = f.python.Refresh(o.dir)
	}
	if isTransient(f.err) || errors.Is(f.err, fs.ErrNotExist) {
		return nil, f.err
	}
	f.taken = false
	if o.mapped++; o.mapped > maxMapped {
		if err := f.readPython(); err != nil {
			return nil, err
		}
		f.taken = true
		return f, f.python.Close()
	}
	return f, nil
}

// maxMapped is how many files of client_python stay mapped between scrapes. A
// process may have 65,530 mappings, so that a file more is mapped for each scrape
// again and given back at once.
var maxMapped = 32_768

// rename notes the name that a file of client_python has now.
func (f *file) rename(d *mpm.Dir, name string) error {
	if f.known && f.name == name {
		return nil
	}
	if err := f.python.Renamed(d, name); err != nil {
		return err
	}
	n := f.python.Name()
	// How old its process is, nobody knows.
	f.header = mpm.Header{Label: n.ID, Incarnation: n.Incarnation, Created: time.Unix(0, 0)}
	f.name, f.known, f.live = name, true, !n.Dead
	return nil
}

// readPython takes the values. Where the file has become unreadable, those of
// the last good read stay.
func (f *file) readPython() error {
	if f.err != nil || f.taken {
		f.taken = false
		return nil
	}
	r := f.python
	err := mpm.Guard(f.name, func() error {
		f.buf.values = r.AppendValues(f.buf.values[:0])
		return nil
	})
	if err != nil {
		f.err = err
		return nil
	}
	f.families, f.epoch, f.bytes = r.Schemas(), r.Epoch(), r.Bytes()
	f.keep()
	damage := r.Damaged()
	f.damaged = len(damage)
	if len(damage) > 0 {
		f.err = &damage[0]
		if len(damage) > 1 {
			f.err = fmt.Errorf("%w, and %d more", f.err, len(damage)-1)
		}
	}
	return nil
}

// ownGauges reports whether a file of client_python holds gauges of its process
// alone that stay in the view when it is dead.
func (f *file) ownGauges() bool {
	n := f.python.Name()
	return n.Type == metric.Gauge && n.Mode == metric.ModeAll
}

// eachPythonSeries calls fn with every series of a file of client_python, for
// some more than once. What is true of all series of its kind the schema
// says; bounds are not in it.
func (f *file) eachPythonSeries(fn func(*metric.Schema, metric.Labels)) {
	keys := f.python.Keys()
	kind := keys.Kind()
	for _, k := range f.python.Records() {
		series := keys.Keys()[k].Series
		family := keys.Families()[keys.FamilyOf(series)]
		fn(&metric.Schema{Name: family.Name, Type: kind.Type, Mode: kind.Mode}, keys.AppendLabels(nil, series))
	}
}

// keysKept is how many keys are kept although no file may have them any more.
const keysKept = 10_000

// dropKeys begins again with the keys once most are of files that are gone, and reports
// whether it has. The files are then parsed again; one that cannot be keeps what was read
// of it, its keys too.
func (s *snapshot) dropKeys(d *mpm.Dir) (dropped bool) {
	records := 0
	for _, f := range s.files {
		if f.python != nil {
			records += len(f.python.Records())
		}
	}
	if s.keys.Len() <= 2*records+keysKept {
		return false
	}
	s.keys = &pyfile.Keys{}
	for _, f := range s.files {
		if f.python == nil {
			continue
		}
		mapped := f.python.Mapped()
		f.err = f.python.Rewind(d, s.keys)
		if !mapped {
			f.python.Close()
		}
	}
	return true
}
