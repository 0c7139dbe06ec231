package aggregate

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// FileState is what became of a file.
type FileState string

// The states, as the label state of multiprom_files has them.
const (
	FileOK          FileState = "ok"
	FileCorrupt     FileState = "corrupt"
	FileForeign     FileState = "foreign"
	FileUnsupported FileState = "unsupported"
	FileUntrusted   FileState = "untrusted"
	FileTooBig      FileState = "toobig"
	FileUnreadable  FileState = "unreadable"
	FileConsumed    FileState = "consumed" // it is back, though its values are in the archive
)

var fileStates = []FileState{FileOK, FileCorrupt, FileForeign, FileUnsupported, FileUntrusted, FileTooBig, FileUnreadable, FileConsumed}

// FileStatus is one file of the directory and what became of it.
type FileStatus struct {
	Name  string
	State FileState
	Err   error // nil when State is FileOK
}

func stateOf(err error) FileState {
	for _, s := range []struct {
		err   error
		state FileState
	}{
		{nil, FileOK}, {mpm.ErrForeign, FileForeign}, {mpm.ErrUnsupported, FileUnsupported},
		{mpm.ErrNotTrusted, FileUntrusted}, {mpm.ErrTooBig, FileTooBig}, {mpm.ErrCorrupt, FileCorrupt}, {ErrConsumed, FileConsumed},
	} {
		if errors.Is(err, s.err) {
			return s.state
		}
	}
	return FileUnreadable
}

// file is one process's file between scrapes.
type file struct {
	name   string
	reader *mpm.Reader    // nil where the file cannot be opened, and once its process is dead
	python *pyfile.Reader // of a file of client_python, which has no reader
	err    error          // why it is left out, or stale
	header mpm.Header
	known  bool // it was opened once: header is its header

	live    bool // its process holds the lock, and has neither closed nor been marked
	dead    bool // its lock is free: nothing in it changes any more
	closed  bool
	marked  bool
	settled bool // the last read took values that belong together

	// What the last good read took: values hold the words of all series, one after
	// the other.
	families []*metric.Schema
	series   mpm.SeriesList
	removed  mpm.SeriesList // series that the process has removed
	epoch    int
	values   []uint64

	removedValues []uint64 // likewise, of removed
	exemplars     []exemplar

	// Room for what is not known to be good yet, shared by all files.
	changes []mpm.Change
	spare   []uint64 // of client_python's

	counters [len(mpm.HeaderCounters)]uint64
	damaged  int
	unknown  int
	bytes    int64

	label string // the value of the process label, empty if it is not shown
	taken bool   // the values of this scrape are there already: of a file of client_python
	part  part   // the table's
}

// openFile opens a file, or remembers why it cannot be opened. The error is
// one that must fail the scrape: the fault is the system's and may pass. Of a
// file whose process is dead it reads all that there is, and keeps neither
// mapping nor descriptor: a directory may hold more of them than a process may
// have mappings.
func openFile(dir *mpm.Dir, name string, opts mpm.ReadOptions) (*file, error) {
	r, err := dir.Open(name, opts)
	switch {
	case errors.Is(err, fs.ErrNotExist), isTransient(err):
		return nil, err
	case err != nil:
		return &file{name: name, err: err}, nil
	}
	f := newFile(name, r)
	if held, err := r.Locked(); err != nil || held {
		return f, nil // read asks again
	}
	if err := f.read(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return f, nil
}

func newFile(name string, r *mpm.Reader) *file {
	return &file{name: name, reader: r, header: r.Header(), known: true, live: true}
}

// isTransient reports whether err says that the system is short of something:
// leaving the file out would make counters fall for one scrape.
func isTransient(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EIO)
}

// maxReads bounds how often a file is read again because its writer removed
// series meanwhile.
const maxReads = 16

// read asks the lock and takes the values. Where the file has become
// unreadable, the values of the last good read stay: a counter must not fall
// because somebody cut a file short. The error is a transient one.
func (f *file) read() error {
	if f.python != nil {
		return f.readPython()
	}
	if f.reader == nil || f.dead {
		return nil
	}
	held, err := f.reader.Locked()
	if err != nil {
		return fmt.Errorf("%s: ask lock: %w", f.reader.Path(), err)
	}
	f.settled = false
	for i := 0; i < maxReads && err == nil && !f.settled; i++ {
		f.settled, err = f.readOnce()
	}
	if isTransient(err) {
		return err
	}
	if err == nil && !f.settled && f.families == nil {
		return fmt.Errorf("%s: its process removes series faster than they can be read", f.name)
	}
	f.err = err
	f.live = held && !f.closed && !f.marked
	if !held {
		// The lock was free before the values were taken: they are final.
		f.dead = true
		return f.close()
	}
	return nil
}

// readOnce reports whether the values that it took belong together.
func (f *file) readOnce() (settled bool, err error) {
	r := f.reader
	if err := r.Refresh(); err != nil {
		return false, err
	}
	err = mpm.Guard(r.Path(), func() error {
		series, known, same := r.List(), f.values, f.epoch == r.Epoch()
		if !same {
			known = nil // series have other numbers now
		}
		f.changes = r.AppendChanges(f.changes[:0], known)
		added := r.AppendValues(nil, len(known))
		removed := r.AppendRemovedValues(nil)
		exemplars := f.exemplars
		if known == nil {
			exemplars = nil
		}
		exemplars = takeExemplars(r, exemplars)
		closed, marked := r.Closed(), r.Marked()
		var counters [len(mpm.HeaderCounters)]uint64
		for i, c := range mpm.HeaderCounters {
			counters[i] = r.Count(c)
		}
		if settled = r.Unchanged(); !settled {
			return nil
		}
		if err := r.Whole(); err != nil {
			return err // what was read may be zeros
		}
		p := &f.part
		if !same || p.epoch != f.epoch { // what was planned is not of these series
			p.series.mark(func(*span) bool { return true })
			p.removed.mark(func(*span) bool { return true })
		} else { // who holds a removed series may update it
			p.removed.mark(func(s *span) bool { return !slices.Equal(f.removedValues[s.at:s.end()], removed[s.at:s.end()]) })
		}
		p.series.take(&f.series, f.values, f.changes, p.live)
		f.closed, f.marked, f.counters = closed, marked, counters
		_, f.damaged = r.Damaged()
		f.unknown = r.Unknown()
		f.families, f.series, f.removed = r.Schemas(), series, r.RemovedList()
		f.epoch, f.bytes, f.exemplars = r.Epoch(), r.Bytes(), exemplars
		f.removedValues = removed
		if known == nil {
			f.values = added
		} else {
			f.values = append(f.values, added...)
		}
		return nil
	})
	return settled, err
}

// keep has the values of client_python's file that were read take the place of those
// before.
func (f *file) keep() {
	if cap(f.values) < len(f.spare) {
		f.values, f.spare = f.spare, f.values
	} else {
		f.values = append(f.values[:0], f.spare...)
	}
}

// everRemoved reports whether the process may have removed a series: its
// generation has moved.
func (f *file) everRemoved() bool {
	ever := true
	err := mpm.Guard(f.name, func() error { ever = f.reader.Generation() != 0; return nil })
	return ever || err != nil
}

// close gives back the mapping. What was read stays.
func (f *file) close() error {
	if f.python != nil {
		return f.python.Close()
	}
	if f.reader == nil {
		return nil
	}
	r := f.reader
	f.reader = nil
	return r.Close()
}
