package aggregate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/table"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// Options of Open. The zero value is useful.
type Options struct {
	// TrustUIDs are users whose files are read beside one's own and those of
	// the directory's owner. Default: no others.
	TrustUIDs []int
	// MaxFileBytes is the size above which a file is left out. Default 1 GiB;
	// metric.NoLimit.
	MaxFileBytes int64
	// ProcessLabel is the name of the label that tells processes apart in
	// gauges of mode all and liveall. Default "pid".
	ProcessLabel string
	// NoSelfMetrics leaves out the multiprom_ families.
	NoSelfMetrics bool
	// Workers returns the pids of the living workers. Those without a file are shown as
	// processes without a store. Default: nobody knows them.
	Workers func() []int
	// Logger is told of schemas that conflict and of files that change faster than they
	// can be read, each once, by the scrape that finds it. Nil logs nothing.
	Logger *slog.Logger
	// TTL is a time to live for families by name, such as {"requests": 15 * time.Minute}: a
	// series that nobody has updated for so long is hidden. It is for programs that cannot be
	// changed: files of client_python, and of processes that set no TTL. An Aggregator goes by
	// when it has seen the values change, and begins to watch when it is opened. Of several TTLs of
	// a family, the longest counts. Series without labels and overflow series are always shown.
	// Default: none but those that the files have.
	TTL map[string]time.Duration
	// Now is the clock that tells which series have expired, and which times of mostrecent
	// gauges and exemplars are in the future. Default time.Now.
	Now func() time.Time
}

// withDefaults checks the options and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	var c options.Checker
	snapshot.CheckReading(&c, o.TrustUIDs, &o.MaxFileBytes)
	if o.ProcessLabel == "" {
		o.ProcessLabel = "pid"
	}
	if err := form.CheckLabelName(o.ProcessLabel); err != nil {
		c.Failf("ProcessLabel", "cannot name a label: %v", err)
	}
	snapshot.CheckTTL(&c, o.TTL)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, c.Err()
}

// Aggregator merges the files of a directory at every Gather, and remembers what it has read
// for the next one. It is safe for concurrent use.
type Aggregator struct {
	opts Options
	dir  string // empty for a view of one store

	started atomic.Uint64 // number of the refresh that began last

	mu       sync.Mutex
	finished uint64 // number of the refresh that ended well last
	closed   bool
	snapshot *snapshot.Snapshot
	table    *table.Table
	activity activity
	self     selfMetrics
	told     told   // what the log was told of: conflicts, stale files
	toldOf   uint64 // how many series were left out then
}

// Open returns a view of dir, which need not exist before the first Gather.
func Open(dir string, opts Options) (*Aggregator, error) {
	if dir == "" {
		return nil, errors.New("aggregate: no directory was named")
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("aggregate: open %s: %w", dir, err)
	}
	return newAggregator(dir, opts), nil
}

// Dir returns the directory, empty for a view of one store.
func (a *Aggregator) Dir() string { return a.dir }

var _ = func() (none struct{}) {
	access.FromStore = func(store *mpm.Store, opts any) any { return fromStore(store, opts.(Options)) }
	inspect.Files = func(a any) []inspect.File { return a.(*Aggregator).files() }
	inspect.Families = func(ctx context.Context, a any) ([]inspect.Family, error) { return a.(*Aggregator).families(ctx) }
	inspect.Look = func(ctx context.Context, a any, fn func(inspect.Sight, error)) { a.(*Aggregator).look(ctx, fn) }
	views.Provide(func(a *Aggregator) views.Viewer { return (*viewer)(a) })
	return none
}()

// fromStore returns a view of one store of this process. It has the families that a directory
// with only its file would have. It panics if the options are invalid, because they are
// constants of a program.
func fromStore(store *mpm.Store, opts Options) *Aggregator {
	a := newAggregator("", opts)
	a.snapshot.AddStore(store)
	return a
}

func newAggregator(dir string, opts Options) *Aggregator {
	opts, err := opts.withDefaults()
	if err != nil {
		panic(fmt.Errorf("aggregate: %w", err))
	}
	symbols := &mpm.SymbolTable{}
	a := &Aggregator{
		opts: opts, dir: dir,
		snapshot: snapshot.New(dir, opts.TrustUIDs, opts.MaxFileBytes, symbols),
		table:    table.New(opts.ProcessLabel, symbols, opts.TTL),
	}
	if len(opts.TTL) > 0 {
		a.snapshot.Watch()
	}
	return a
}

// ErrClosed: the Aggregator was closed.
var ErrClosed = errors.New("aggregate: closed")

// Gather returns the merged families, sorted by name, each with its series sorted by labels.
// A bad file is left out and counted; it is no error. An error says that the directory or the
// archive could not be read, or that the system could not open the files. Nothing is returned
// with it, because counters would fall without some of the files.
func (a *Aggregator) Gather(ctx context.Context) (families []*metric.Family, err error) {
	a.scrape(ctx, func(f []views.Family, e error) {
		if err = e; err == nil && inspect.IsByProcess(ctx) {
			families = a.byProcess()
		} else {
			families = views.Whole(f)
		}
	})
	return families, err
}

// viewer is an Aggregator as a views.Viewer: its families have rows instead of series, and
// say which of them have changed.
type viewer Aggregator

// View holds the lock until fn returns, so fn must not call the Aggregator.
func (v *viewer) View(ctx context.Context, fn func([]views.Family, error)) {
	(*Aggregator)(v).scrape(ctx, fn)
}

func (a *Aggregator) scrape(ctx context.Context, fn func([]views.Family, error)) {
	if err := ctx.Err(); err != nil {
		fn(nil, err)
		return
	}
	started := time.Now()
	unlock, err := a.refreshed()
	if err != nil {
		fn(nil, err)
		return
	}
	var news []inspect.Conflict
	var stale []string
	defer func() {
		unlock()
		a.tell(news, stale) // without the lock: the log's handler may do anything
	}()
	merged := false
	defer func() {
		if !merged { // a panic, such as one of Options.Now, from which the server may recover
			a.table.Distrust()
		}
	}()
	if err := a.plan(); err != nil {
		merged = true // the next one plans again
		fn(nil, err)
		return
	}
	a.table.Merge(a.snapshot, a.opts.Now().UnixNano())
	merged = true
	news, stale = a.newConflicts(), a.newStale()
	families := a.table.Families()
	if !a.opts.NoSelfMetrics {
		families = inOrder(families, a.selfMetrics(started))
	}
	fn(families, nil)
}

// inOrder returns the families of two lists that are sorted by name, likewise sorted.
func inOrder(a, b []views.Family) []views.Family {
	out := make([]views.Family, 0, len(a)+len(b))
	for _, f := range a {
		for len(b) > 0 && b[0].Name < f.Name {
			out, b = append(out, b[0]), b[1:]
		}
		out = append(out, f)
	}
	return append(out, b...)
}

// plan brings the table up to date with what was read. If the time of a series has passed
// while the files were read, it reads once more. What passes then is hidden.
func (a *Aggregator) plan() error {
	if a.table.Plan(a.snapshot); !a.table.Doubts() {
		return nil
	}
	if err := a.refresh(); err != nil {
		return err
	}
	a.table.Plan(a.snapshot)
	return nil
}

// Close releases mappings and descriptors.
func (a *Aggregator) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	return a.snapshot.Close()
}

// refreshed takes the lock and reads the directory, unless another call has begun and ended a
// reading since this one arrived: calls that wait for the lock share one reading.
func (a *Aggregator) refreshed() (unlock func(), err error) {
	arrived := a.started.Load()
	a.mu.Lock()
	if a.finished > arrived && !a.closed {
		return a.mu.Unlock, nil
	}
	done := false
	defer func() {
		if !done { // a panic too must not lock out all others
			a.mu.Unlock()
		}
	}()
	number := a.started.Add(1)
	if err := a.refresh(); err != nil {
		return nil, err
	}
	a.finished, done = number, true
	return a.mu.Unlock, nil
}

// refresh reads the directory.
func (a *Aggregator) refresh() error {
	if a.closed {
		return ErrClosed
	}
	began := a.opts.Now()
	a.snapshot.Began = began.UnixNano()
	changes, err := a.snapshot.List(a.finished == 0)
	a.table.Follow(a.snapshot, changes)
	a.activity.forget(changes.Gone)
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	for _, f := range a.snapshot.Files {
		delta, err := f.ReadDelta()
		a.activity.note(f, &delta, began)
		a.table.Apply(f, delta)
		if err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
	}
	a.snapshot.Ended = a.opts.Now().UnixNano()
	return nil
}
