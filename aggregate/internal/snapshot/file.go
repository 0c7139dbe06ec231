package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// File is one process's file between scrapes.
type File struct {
	Name   string
	reader *mpm.Reader    // nil if the file cannot be opened, and once its process is dead
	Python *pyfile.Reader // of a file of client_python, which has no reader
	Err    error          // why it is left out, or stale
	Header mpm.Header
	Known  bool // it was opened once, so Header is valid

	Live   bool // its process holds the lock, and has neither closed nor been marked
	Dead   bool // its lock was free and the file was read after that: nothing in it changes any more
	Closed bool
	Marked bool
	Stale  bool // the last read was not in time, so what was read before stays

	Unsettled int // blocks that changed too fast for the last read: what was known of them stays

	// What the last good read took. Values hold the values of all series, one after the
	// other; those of gaps are 0. Epoch counts how often all numbers of series were reset.
	Families []*metric.Schema
	Series   mpm.SeriesList
	Removed  mpm.SeriesList // series that the process has removed
	Epoch    int
	Values   []uint64

	RemovedValues []uint64 // likewise, of Removed

	// Regions are those of the series of both, the native buckets of histograms. RegionOwners
	// has for each the number of its series, or ^number of one of Removed.
	Regions      mpm.RegionList
	RegionValues []uint64
	RegionOwners []int32

	Exemplars []mpm.Exemplar

	buf *buffers

	Counters [len(mpm.HeaderCounters)]uint64
	Damaged  int
	Unknown  int
	Bytes    int64

	// Changed says that the last read has found other values: of a file of client_python.
	Changed bool
	// Moved are the records of a file of client_python that are new, or whose values have
	// changed, since the caller emptied it. Only if the snapshot was told to watch.
	Moved []uint32

	Label string // the value of the process label, empty if it is not shown
	taken bool   // the values of this scrape are there already: of a file of client_python
}

// buffers hold what was read and may still turn out to be bad. All files of a snapshot
// share them, since they are read one after the other.
type buffers struct {
	values []uint64 // of client_python's
	watch  bool     // see Snapshot.Watch
}

// Delta is what a read has found changed in a file. It is valid until the next read of a
// file of the same snapshot. If the file's Epoch has moved, its series have other numbers,
// and the delta is of no use: nothing that was known of them holds.
type Delta struct {
	// Live is what has become of Series. Its Changes are not in Values yet: who takes the
	// delta puts them there, and sees the old words while doing so.
	Live mpm.Delta
	// Removed is what has become of Removed.
	Removed mpm.Delta
	// Regions is what has become of Regions. Its Changes are not in RegionValues yet either.
	Regions mpm.Delta
}

// openFile opens a file, or remembers why it cannot be opened. An error must fail the
// scrape: the fault is the system's and may pass. openFile reads the whole file of a dead
// process at once, and keeps neither mapping nor descriptor: a directory may hold more such
// files than a process may have mappings.
func openFile(dir *mpm.Dir, name string, opts mpm.ReadOptions, buf *buffers) (*File, error) {
	r, err := dir.Open(name, opts)
	switch {
	case errors.Is(err, fs.ErrNotExist), IsTransient(err):
		return nil, err
	case err != nil:
		return &File{Name: name, Err: err}, nil
	}
	f := newFile(name, r, buf)
	if held, err := r.Locked(); err != nil || held {
		return f, nil // Read asks again
	}
	if err := f.Read(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return f, nil
}

func newFile(name string, r *mpm.Reader, buf *buffers) *File {
	return &File{Name: name, reader: r, Header: r.Header(), Known: true, Live: true, buf: buf}
}

// IsTransient reports whether err says that the system is short of something:
// leaving the file out would make counters fall for one scrape.
func IsTransient(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EIO)
}

// Read is ReadDelta for those who want the values alone.
func (f *File) Read() error {
	d, err := f.ReadDelta()
	f.Put(&d)
	return err
}

// Put makes the changes of a delta part of Values and RegionValues.
func (f *File) Put(d *Delta) {
	for _, c := range d.Live.Changes {
		f.Values[c.At] = c.Word
	}
	for _, c := range d.Regions.Changes {
		f.RegionValues[c.At] = c.Word
	}
}

// ReadDelta tests the lock and reads what has changed. If the file can no longer be read, the
// values of the last good read stay: a counter must not fall because somebody cut a file
// short. An error is transient, and the delta holds even then.
func (f *File) ReadDelta() (d Delta, err error) {
	if f.Python != nil {
		return d, f.ReadPython()
	}
	if f.reader == nil || f.Dead {
		return d, nil
	}
	held, err := f.reader.Locked()
	if err != nil {
		return d, fmt.Errorf("%s: ask lock: %w", f.reader.Path(), err)
	}
	d, err = f.take()
	f.Unsettled = f.reader.Unsettled()
	if f.Stale = errors.Is(err, mpm.ErrStale); IsTransient(err) {
		return d, err
	}
	f.Err = err
	f.Live = held && !f.Closed && !f.Marked
	if !held && !f.Stale {
		// The lock was free before the values were taken: they are final.
		f.Dead = true
		return d, f.Close()
	}
	return d, nil
}

// take applies one Reading of the file, but for the Changes of Live and Regions. Those that
// nobody puts into the values are found again by the next read.
func (f *File) take() (d Delta, err error) {
	r := f.reader
	now, err := r.Read(f.Values, f.RemovedValues, f.RegionValues)
	if err != nil {
		return d, err
	}
	d = Delta{Live: now.Live, Removed: now.Removed, Regions: now.Regions}
	series, removed, regions := r.List(), r.RemovedList(), r.RegionList()
	if d.Live.Reset || d.Removed.Reset || d.Regions.Reset { // what was known is of other series
		f.Epoch++
	}
	now.Live.Changes, now.Regions.Changes = nil, nil
	f.Values = now.Live.Apply(f.Values, &series)
	f.RemovedValues = now.Removed.Apply(f.RemovedValues, &removed)
	f.RegionValues, f.RegionOwners = regions.Apply(&now.Regions, f.RegionValues, f.RegionOwners)
	f.Closed, f.Marked, f.Counters = now.Closed, now.Marked, now.Counters
	_, f.Damaged = r.Damaged()
	f.Unknown = r.Unknown()
	f.Families, f.Series, f.Removed, f.Regions = r.Schemas(), series, removed, regions
	f.Bytes, f.Exemplars = r.Bytes(), now.Exemplars
	return d, nil
}

// keep makes the values that were just read from a file of client_python those of f.
func (f *File) keep() {
	f.Changed = !slices.Equal(f.Values, f.buf.values)
	if f.buf.watch {
		f.note(f.buf.values)
	}
	if b := f.buf; cap(f.Values) < len(b.values) {
		f.Values, b.values = b.values, f.Values
	} else {
		f.Values = append(f.Values[:0], b.values...)
	}
}

// note adds to Moved the records whose values are others now.
func (f *File) note(values []uint64) {
	words := f.Python.Words()
	if records := len(values) / words; len(f.Moved) > records {
		f.Moved = f.Moved[:0] // nobody has looked for a long time
		for i := range records {
			f.Moved = append(f.Moved, uint32(i))
		}
		return
	}
	for at := 0; at+words <= len(values); at += words {
		if at+words > len(f.Values) || !slices.Equal(values[at:at+words], f.Values[at:at+words]) {
			f.Moved = append(f.Moved, uint32(at/words))
		}
	}
}

// Lists yields the lists of series whose symbols are in use.
func (f *File) Lists(yield func(mpm.SeriesList) bool) {
	_ = yield(f.Series) && yield(f.Removed)
	if f.reader != nil { // a read that failed may have found more
		_ = yield(f.reader.List()) && yield(f.reader.RemovedList())
	}
}

// EverRemoved reports whether the process may have removed a series. If not, the
// generation of its file is still 0.
func (f *File) EverRemoved() bool {
	ever := true
	err := mpm.Guard(f.Name, func() error { ever = f.reader.Generation() != 0; return nil })
	return ever || err != nil
}

// Close releases mapping and descriptor. What was read stays.
func (f *File) Close() error {
	if f.Python != nil {
		return f.Python.Close()
	}
	if f.reader == nil {
		return nil
	}
	r := f.reader
	f.reader = nil
	return r.Close()
}

// Offer returns the offer of one of the file's schemas.
func (f *File) Offer(schema *metric.Schema) sum.Offer {
	python := ""
	if f.Python != nil {
		python = OriginalName(f.Name)
	}
	return sum.NewOffer(schema, f.Header.Created.UnixNano(), f.Live, python)
}

// CountSeries calls fn with every schema of the file and the number of its series. The
// schemas of client_python's files have no labels, so fn gets those of the first series.
func (f *File) CountSeries(fn func(schema *metric.Schema, n int, first metric.Labels)) {
	if f.Python == nil {
		counts := f.Series.Counts()
		for _, schema := range f.Families {
			fn(schema, counts[schema], nil)
		}
		return
	}
	keys := f.Python.Keys()
	seen := make([]bool, keys.Series())
	counts, firsts := map[string]int{}, map[string]metric.Labels{}
	for _, k := range f.Python.Records() {
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
	for _, schema := range f.Families {
		fn(schema, counts[schema.Name], firsts[schema.Name])
	}
}

// HistogramSeries returns how many series each histogram of the file has, by name.
func (f *File) HistogramSeries() map[string]int {
	if f.Python != nil && f.Python.Keys().Kind().Type != metric.Histogram {
		return nil
	}
	out := map[string]int{}
	f.CountSeries(func(s *metric.Schema, n int, _ metric.Labels) {
		if s.Type == metric.Histogram {
			out[s.Name] += n
		}
	})
	for s, n := range f.Removed.Counts() {
		if s.Type == metric.Histogram {
			out[s.Name] += n
		}
	}
	return out
}

// Size returns how many series of the file are merged.
func (f *File) Size() int {
	if f.Python != nil {
		return f.Python.Series()
	}
	return f.Series.Count()
}
