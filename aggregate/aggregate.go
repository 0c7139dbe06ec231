package aggregate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// Options of Open and FromStore. The zero value is useful.
type Options struct {
	// TrustUIDs are users whose files are read beside one's own and those of
	// the directory's owner.
	TrustUIDs []int
	// MaxFileBytes is the size above which a file is left out. Default 1 GiB.
	MaxFileBytes int64
	// ProcessLabel is the name of the label that tells processes apart in
	// gauges of mode all and liveall. Default "pid".
	ProcessLabel string
	// NoSelfMetrics leaves out the multiprom_ families.
	NoSelfMetrics bool
	// Now is the clock that bounds the times of mostrecent gauges. Default
	// time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.ProcessLabel == "" {
		o.ProcessLabel = "pid"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Aggregator merges the files of a directory at every Gather, and keeps what
// it learned of them for the next. It is safe for concurrent use.
type Aggregator struct {
	opts Options
	dir  string // empty for a view of one store

	started atomic.Uint64 // number of the refresh that began last

	mu       sync.Mutex
	finished uint64 // number of the refresh that ended well last
	closed   bool
	files    []*file // by name
	table    table
}

// Open returns a view of dir, which need not exist before the first Gather.
func Open(dir string, opts Options) (*Aggregator, error) {
	if dir == "" {
		return nil, errors.New("aggregate: no directory was named")
	}
	a := &Aggregator{opts: opts.withDefaults(), dir: dir}
	a.table.init(a.opts.ProcessLabel)
	return a, nil
}

// FromStore returns a view of one store of this process: the same families in
// the same form as a directory with its file alone.
func FromStore(store *mmapstore.Store, opts Options) *Aggregator {
	a := &Aggregator{opts: opts.withDefaults()}
	a.table.init(a.opts.ProcessLabel)
	h := store.Header()
	a.files = []*file{{name: h.FileName(), reader: store.Reader(), live: true}}
	return a
}

// ErrClosed: the Aggregator was closed.
var ErrClosed = errors.New("aggregate: closed")

// Gather returns the merged families, sorted by name, each one's series by
// labels. A bad file is left out and counted, never an error. An error says
// that the directory could not be read, or that the system lacks what it takes
// to open its files; nothing is returned beside it, since counters without some
// of the files would fall.
func (a *Aggregator) Gather(ctx context.Context) ([]*metric.Family, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	unlock, err := a.refreshed()
	if err != nil {
		return nil, err
	}
	defer unlock()
	a.table.plan(a.files)
	a.table.merge(a.files, a.opts.Now().UnixNano())
	families := a.table.families()
	if !a.opts.NoSelfMetrics {
		families = append(families, a.selfMetrics()...)
		metric.SortFamilies(families)
	}
	return families, nil
}

// Close gives back mappings and descriptors.
func (a *Aggregator) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	var errs []error
	for _, f := range a.files {
		errs = append(errs, f.close())
	}
	a.files = nil
	return errors.Join(errs...)
}

// refreshed takes the lock and reads the directory, unless somebody has done
// so since the call: those who wait for the same lock share one reading.
func (a *Aggregator) refreshed() (unlock func(), err error) {
	arrived := a.started.Load()
	a.mu.Lock()
	if a.finished > arrived && !a.closed {
		return a.mu.Unlock, nil
	}
	number := a.started.Add(1)
	if err := a.refresh(); err != nil {
		a.mu.Unlock()
		return nil, err
	}
	a.finished = number
	return a.mu.Unlock, nil
}

// refresh follows the reader's steps: list the directory at every scrape, open
// what is not open, forget what is not listed, ask each lock once, read.
func (a *Aggregator) refresh() error {
	if a.closed {
		return ErrClosed
	}
	if a.dir != "" {
		if err := a.list(); err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
	}
	for _, f := range a.files {
		if err := f.read(); err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
	}
	return nil
}

func (a *Aggregator) list() error {
	entries, err := mmapstore.ScanDir(a.dir)
	if err != nil {
		return err
	}
	known := make(map[string]*file, len(a.files))
	for _, f := range a.files {
		known[f.name] = f
	}
	trusted, err := a.trust()
	if err != nil {
		return err
	}
	files := make([]*file, 0, len(entries))
	for _, e := range entries {
		if e.Kind != mmapstore.KindNative {
			continue
		}
		f := known[e.Name]
		delete(known, e.Name)
		if f == nil || f.reader == nil {
			// A file that could not be read is tried again: it may have been mended.
			f, err = openFile(a.dir, e.Name, mmapstore.ReadOptions{Trusted: trusted, MaxBytes: a.opts.MaxFileBytes})
			if errors.Is(err, fs.ErrNotExist) {
				continue // vanished since it was listed
			}
			if err != nil {
				return err
			}
		}
		files = append(files, f)
	}
	for _, gone := range known {
		a.table.forget(gone)
		gone.close()
	}
	a.files = files
	return nil
}

// trust returns whose files are read: one's own, the directory owner's, and
// those of the users that the options name.
func (a *Aggregator) trust() (func(uid int) bool, error) {
	uids := append([]int{os.Geteuid()}, a.opts.TrustUIDs...)
	owner, err := mmapstore.OwnerUID(a.dir)
	if err != nil {
		return nil, err
	}
	uids = append(uids, owner)
	return func(uid int) bool { return slices.Contains(uids, uid) }, nil
}
