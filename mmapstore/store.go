package mmapstore

import (
	"fmt"
	"os"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// Options of a store. The zero value is useful.
type Options struct {
	// ProcessID is the value of the label pid in the merged view: at most 128 bytes of
	// UTF-8. Default: the PID.
	ProcessID string
	// MaxBytes bounds the file: 64 KiB to 32 GiB. Default 1 GiB. Only what is used is
	// allocated.
	MaxBytes int64
	// Mode is the permissions of the file, regardless of the umask. 0640 lets the group of
	// the directory read it. Default 0600.
	Mode os.FileMode
}

// Store is one file that this process writes.
type Store struct{ store *mpm.Store }

// Create creates a file for this process in dir and locks it. The lock tells readers that
// the process lives; the kernel drops it when the process ends. The error matches
// ErrFull, ErrNotShared or one of package fs, or names the invalid option.
func Create(dir string, opts Options) (*Store, error) {
	if err := mpm.CheckProcessID(opts.ProcessID); err != nil {
		return nil, fmt.Errorf("mmapstore: ProcessID: %w", err)
	}
	s, err := mpm.Create(dir, mpm.Options{Label: opts.ProcessID, MaxBytes: opts.MaxBytes, Mode: opts.Mode})
	if err != nil {
		return nil, err
	}
	return &Store{s}, nil
}

// Path returns the file's path.
func (s *Store) Path() string { return s.store.Path() }

// AddSchema adds a schema. It must not be changed afterwards. If the file is full, it is
// no error: all its series are Lost. The error matches ErrRecordTooLarge, ErrClosed or one
// of metric.Schema.Check.
func (s *Store) AddSchema(schema *metric.Schema) (*Schema, error) {
	if schema.TTL != 0 {
		return nil, fmt.Errorf("mmapstore: metric %q: %w: it has a TTL, and nobody has its series expire; package multiproc does", schema.Name, form.ErrSchema)
	}
	if schema.Native != nil {
		return nil, fmt.Errorf("mmapstore: metric %q: %w: it has native buckets, and nobody makes their regions; package multiproc does", schema.Name, form.ErrSchema)
	}
	ref, err := s.store.AddSchema(schema)
	if err != nil {
		return nil, err
	}
	return &Schema{s.store, ref}, nil
}

// Close marks the store closed: nothing can be added, and readers take the process for
// dead, so that its live gauges are no longer shown. Closing twice is ErrClosed.
func (s *Store) Close() error { return s.store.Close() }

// Schema is a schema in a store, to which series are added.
type Schema struct {
	store *mpm.Store
	ref   *mpm.SchemaRef
}

// AddSeries adds a series with the values of the schema's labels, in their order. It
// starts at zero. Do not add the same values twice while the first series is in use: that
// makes two series, which readers merge. The error matches metric.ErrInvalid for a wrong
// number of values, ErrRecordTooLarge or ErrClosed.
func (s *Schema) AddSeries(values ...string) (*Series, error) {
	if schema := s.ref.Schema(); len(values) != len(schema.Labels) {
		return nil, fmt.Errorf("mmapstore: %s: %w: %d values for %d labels", schema.Name, form.ErrLabel, len(values), len(schema.Labels))
	}
	series, err := s.store.AddSeries(s.ref, values, nil)
	if err != nil {
		return nil, err
	}
	return &Series{series}, nil
}

// Series is one series of a store.
type Series struct{ series *mpm.Series }

// Words returns the series' values, at the positions that the Cell constants name
// (docs/format.md, "Cells"). Only use them atomically, and only while the Series is
// reachable.
func (s *Series) Words() []uint64 { return s.series.Words() }

// Lost reports whether the file was full. Then the words are in this process's memory, and
// no reader sees them.
func (s *Series) Lost() bool { return s.series.Lost() }

// SetExemplar sets the exemplar of a counter, or of a bucket of a histogram. Buckets are
// numbered from 0; a counter has bucket 0. The time of the exemplar is now if it is zero. A
// full file takes no further exemplar. The error matches metric.ErrInvalid.
func (s *Series) SetExemplar(bucket int, e metric.Exemplar) error {
	if err := openmetrics.CheckExemplar(e.Labels); err != nil {
		return err
	}
	if bucket < 0 {
		return fmt.Errorf("%w: there is no bucket %d", form.ErrExemplar, bucket)
	}
	if e.Timestamp.IsZero() {
		e.Timestamp = time.Now()
	}
	s.series.SetExemplar(bucket, e.Labels, e.Value, e.Timestamp.UnixNano())
	return nil
}

// Remove removes the series. The merged view loses it after every process that has it has
// removed it or ended. Updates of its words no longer count. Removing twice does nothing.
func (s *Series) Remove() { s.series.Remove() }

// Positions of the words of a series (docs/format.md, "Cells").
const (
	CellCounterInts  = mpm.CellCounterInts  // the sum of whole increments below 2^32
	CellCounterFloat = mpm.CellCounterFloat // the bits of a float: the sum of all other increments

	CellGauge = mpm.CellGauge // the bits of a float, or UnsetBits

	CellHistogramSum     = mpm.CellHistogramSum     // the bits of a float
	CellHistogramBuckets = mpm.CellHistogramBuckets // the first bucket's observations, without those of other buckets

	CellSummaryCount = mpm.CellSummaryCount
	CellSummarySum   = mpm.CellSummarySum // the bits of a float

	CellState = mpm.CellState // the number of a state set's state
)

// UnsetBits are the bits of a gauge that was never set: a NaN that arithmetic does not
// yield. To set a gauge to this NaN, store another one.
const UnsetBits = mpm.UnsetBits

// StoreRecent sets the words of a gauge or state set in a mostrecent mode: the bits of a
// float, which is the value or the number of the state, and the time in nanoseconds since
// 1970. Calls for one series must not overlap.
func StoreRecent(words []uint64, bits uint64, nanos int64) { mpm.StoreRecent(words, bits, nanos) }
