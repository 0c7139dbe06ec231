package aggregate

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

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

	buf *buffers

	counters [len(mpm.HeaderCounters)]uint64
	damaged  int
	unknown  int
	bytes    int64

	label string // the value of the process label, empty if it is not shown
	taken bool   // the values of this scrape are there already: of a file of client_python
}

// buffers hold what is read and not known to be good yet. All files that are read one
// after the other share them.
type buffers struct {
	changes []mpm.Change
	values  []uint64 // of client_python's
}

// delta is what a read has found changed in a file, until the next read of a file with
// the same buffers. If the file's epoch has moved, its series have other numbers: then
// nothing that was known of them holds, and the delta says nothing.
type delta struct {
	// changes are the values that are others now, in the order of their places: the
	// words that were there before.
	changes []mpm.Change
	// removed has the values of removed series as they were before.
	removed []uint64
}

// openFile opens a file, or remembers why it cannot be opened. The error is
// one that must fail the scrape: the fault is the system's and may pass. Of a
// file whose process is dead it reads all that there is, and keeps neither
// mapping nor descriptor: a directory may hold more of them than a process may
// have mappings.
func openFile(dir *mpm.Dir, name string, opts mpm.ReadOptions, buf *buffers) (*file, error) {
	r, err := dir.Open(name, opts)
	switch {
	case errors.Is(err, fs.ErrNotExist), isTransient(err):
		return nil, err
	case err != nil:
		return &file{name: name, err: err}, nil
	}
	f := newFile(name, r, buf)
	if held, err := r.Locked(); err != nil || held {
		return f, nil // read asks again
	}
	if _, err := f.read(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return f, nil
}

func newFile(name string, r *mpm.Reader, buf *buffers) *file {
	return &file{name: name, reader: r, header: r.Header(), known: true, live: true, buf: buf}
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
// because somebody cut a file short. The error is a transient one; what the delta says
// beside it has happened too.
func (f *file) read() (d delta, err error) {
	d.removed = f.removedValues
	if f.python != nil {
		return d, f.readPython()
	}
	if f.reader == nil || f.dead {
		return d, nil
	}
	held, err := f.reader.Locked()
	if err != nil {
		return d, fmt.Errorf("%s: ask lock: %w", f.reader.Path(), err)
	}
	f.settled = false
	for i := 0; i < maxReads && err == nil && !f.settled; i++ {
		f.settled, err = f.readOnce(&d)
	}
	if isTransient(err) {
		return d, err
	}
	if err == nil && !f.settled && f.families == nil {
		return d, fmt.Errorf("%s: its process removes series faster than they can be read", f.name)
	}
	f.err = err
	f.live = held && !f.closed && !f.marked
	if !held {
		// The lock was free before the values were taken: they are final.
		f.dead = true
		return d, f.close()
	}
	return d, nil
}

// readOnce reports whether the values that it took belong together. If so, d says what
// has changed.
func (f *file) readOnce(d *delta) (settled bool, err error) {
	r := f.reader
	if err := r.Refresh(); err != nil {
		return false, err
	}
	err = mpm.Guard(r.Path(), func() error {
		series, known := r.List(), f.values
		if f.epoch != r.Epoch() {
			known = nil // series have other numbers now
		}
		changes := r.AppendChanges(f.buf.changes[:0], known)
		f.buf.changes = changes
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
		for i := range changes {
			c := &changes[i]
			known[c.At], c.Word = c.Word, known[c.At]
		}
		d.changes = changes
		f.closed, f.marked, f.counters = closed, marked, counters
		_, f.damaged = r.Damaged()
		f.unknown = r.Unknown()
		f.families, f.series, f.removed = r.Schemas(), series, r.RemovedList()
		f.epoch, f.bytes, f.exemplars = r.Epoch(), r.Bytes(), exemplars
		f.removedValues = removed
		if known == nil {
			f.values = added
		} else {
			f.values = append(known, added...)
		}
		return nil
	})
	return settled, err
}

// keep has the values of client_python's file that were read take the place of those
// before.
func (f *file) keep() {
	if b := f.buf; cap(f.values) < len(b.values) {
		f.values, b.values = b.values, f.values
	} else {
		f.values = append(f.values[:0], b.values...)
	}
}

// lists calls yield with all lists of series whose symbols are in use.
func (f *file) lists(yield func(mpm.SeriesList) bool) {
	_ = yield(f.series) && yield(f.removed)
	if f.reader != nil { // it may have read on, without a good end
		_ = yield(f.reader.List()) && yield(f.reader.RemovedList())
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

// offer is what the file says of one of its families.
func (f *file) offer(schema *metric.Schema) offer {
	created := f.header.Created.UnixNano()
	d := offer{schema: schema, first: created, newest: created, live: f.live, bounds: schema.Bounds}
	if f.python != nil {
		d.python = pythonOriginal(f.name)
	}
	return d
}

// countSeries calls fn with every schema of the file, and how many series it has;
// of client_python's, whose schemas have no labels, with those of the first series.
func (f *file) countSeries(fn func(schema *metric.Schema, n int, first metric.Labels)) {
	if f.python == nil {
		counts := f.series.Counts()
		for _, schema := range f.families {
			fn(schema, counts[schema], nil)
		}
		return
	}
	keys, seen := f.python.Keys(), map[uint32]bool{}
	counts, firsts := map[string]int{}, map[string]metric.Labels{}
	for _, k := range f.python.Records() {
		series := keys.Keys()[k].Series
		if seen[series] {
			continue
		}
		seen[series] = true
		name := keys.Families()[keys.FamilyOf(series)].Name
		if counts[name]++; counts[name] == 1 {
			firsts[name] = keys.AppendLabels(nil, series)
		}
	}
	for _, schema := range f.families {
		fn(schema, counts[schema.Name], firsts[schema.Name])
	}
}

// histogramSeries returns how many series the file has of each histogram.
func (f *file) histogramSeries() map[string]int {
	out := map[string]int{}
	if f.python == nil {
		for s, n := range f.series.Counts() {
			if s.Type == metric.Histogram {
				out[s.Name] += n
			}
		}
		for i := range f.removed.Len() {
			if s := f.removed.Schema(i); s.Type == metric.Histogram {
				out[s.Name]++
			}
		}
		return out
	}
	keys := f.python.Keys()
	if keys.Kind().Type != metric.Histogram {
		return nil
	}
	seen := make([]bool, keys.Series())
	for _, n := range f.python.Records() {
		if s := keys.Keys()[n].Series; !seen[s] {
			seen[s] = true
			out[keys.Families()[keys.FamilyOf(s)].Name]++
		}
	}
	return out
}

// size returns how many series of the file are merged.
func (f *file) size() int {
	if f.python != nil {
		return f.python.Series()
	}
	return f.series.Len()
}
