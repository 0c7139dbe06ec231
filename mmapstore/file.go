package mmapstore

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// ReadOptions say what Read and Verify accept. The zero value is useful.
type ReadOptions struct {
	// Trusted says whose files are read, by uid. Default: everybody's.
	Trusted func(uid int) bool
	// MaxBytes is the size above which a file is not read. Default 1 GiB; metric.NoLimit.
	MaxBytes int64
}

func (o ReadOptions) internal() mpm.ReadOptions {
	return mpm.ReadOptions{Trusted: o.Trusted, MaxBytes: o.MaxBytes}
}

// File is what a process's file had at one moment.
type File struct {
	// Families are the process's own metrics, sorted by name and labels.
	Families []*metric.Family
	// Damage are the records that were left out because they are damaged: the first few.
	Damage []CorruptionError
	Bytes  int64 // of the file that are in use

	// ProcessID is what the label pid is in the merged view, by default the PID.
	ProcessID string
	// Alive says that the process lives, as far as the system can tell. A process of
	// client_python counts as living until it is marked dead.
	Alive bool

	// The rest is known of native files only.

	PID         int
	Created     time.Time // when the process created the file
	Incarnation [16]byte  // different for each store that was ever created
	Closed      bool      // by its process
	MarkedDead  bool      // by force, such as with mpctl mark-dead

	InvalidUpdates uint64 // updates that were dropped, such as a negative increment
	OverflowSeries uint64 // series beyond a limit
	FallbackSeries uint64 // series that did not fit the file
	DiscardedCalls uint64 // lookups with wrong labels
}

// Read reads the file of a process: a native one (*.mpm) or one of client_python (*.db). It
// reads no archive: a dead process's metrics are shown by package aggregate. The error
// matches ErrForeign, ErrUnsupported, ErrCorrupt, ErrNotTrusted, ErrTooBig or one of package
// fs. Damaged records are no error, see File.Damage.
func Read(path string, opts ReadOptions) (*File, error) {
	switch {
	case isArchive(path):
		return nil, fmt.Errorf("%s: %w: an archive is not the file of one process", path, ErrForeign)
	case isPython(path):
		return readPython(path, opts.internal())
	}
	return readNative(path, opts.internal())
}

func isArchive(path string) bool { return filepath.Base(path) == mpm.ArchiveName }

func isPython(path string) bool { return filepath.Ext(path) == ".db" }
