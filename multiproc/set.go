package multiproc

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// Environment variables that the default Set obeys.
const (
	// EnvDir names the directory; without it the default Set is on the heap.
	EnvDir = "PROMETHEUS_MULTIPROC_DIR"
	// EnvProcessLabel is the process label; without it, the pid.
	EnvProcessLabel = "MULTIPROM_PROCESS_LABEL"

	envDirLower = "prometheus_multiproc_dir" // client_python's old spelling
)

// SetOptions of NewSet. The zero value is a Set on the heap.
type SetOptions struct {
	// Dir is the directory of the file; empty keeps values on the heap.
	Dir string
	// Label is the process label, the value of the label pid in the merged
	// view. Default: the pid.
	Label string
	// MaxSeries bounds the series of a Vec; further label sets share an
	// overflow series. Default 10,000.
	MaxSeries int
	// PublishPeriod is how often gauge functions are evaluated. Default 5 s.
	PublishPeriod time.Duration
	// Logger gets a warning when the file cannot be made. Default slog.Default.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (o SetOptions) withDefaults() SetOptions {
	if o.MaxSeries <= 0 {
		o.MaxSeries = 10_000
	}
	if o.PublishPeriod <= 0 {
		o.PublishPeriod = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Set is a group of instruments over one store. It is safe for concurrent use.
//
// Declaring an instrument does no I/O. The store opens at Open, or at the
// first update of any instrument; only then is there a file.
type Set struct {
	opts SetOptions
	base time.Time // wall time and the monotonic reading that updates add to

	store   atomic.Pointer[mmapstore.Store] // nil until opened
	waiting [4]atomic.Uint64                // header counts from before the store opened

	mu          sync.Mutex
	closed      bool
	fallback    error // why values are on the heap although there is a Dir
	unlogged    bool  // the log has not been told of fallback
	names       map[string]*instrument
	instruments map[string]*instrument // by name and constant labels
	declared    []*instrument          // in order
	unbound     []binder               // series that wait for the store
	functions   []*GaugeFunc
	ended       chan struct{} // closed by Close
}

// binder is a series that can be given its cells. The Set's lock is held.
type binder interface{ bindLocked() }

// NewSet returns a Set without instruments.
func NewSet(opts SetOptions) *Set {
	opts = opts.withDefaults()
	return &Set{
		opts: opts, base: opts.Now(), ended: make(chan struct{}),
		names: map[string]*instrument{}, instruments: map[string]*instrument{},
	}
}

// Default returns the Set of the package-level constructors. It keeps values
// in $PROMETHEUS_MULTIPROC_DIR, or on the heap where that is empty. The
// environment is read at the first call.
var Default = sync.OnceValue(func() *Set {
	dir := os.Getenv(EnvDir)
	if dir == "" {
		if dir = os.Getenv(envDirLower); dir != "" {
			slog.Warn("multiproc: " + envDirLower + " is an old spelling, use " + EnvDir)
		}
	}
	return NewSet(SetOptions{Dir: dir, Label: os.Getenv(EnvProcessLabel)})
})

// Open makes this process a worker: it opens the default Set's store. Without
// it, the first update does.
func Open() error { return Default().Open() }

// Dir returns the directory, empty for a Set on the heap.
func (s *Set) Dir() string { return s.opts.Dir }

// Opened reports whether the store is open.
func (s *Set) Opened() bool { return s.store.Load() != nil }

// Open opens the store and gives every declared instrument its series. The
// error says why there can be no file: it wraps those of package fs and
// mmapstore.ErrFull. A Set that has fallen back to the heap returns why.
func (s *Set) Open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store.Load() != nil {
		return s.fallback
	}
	store, err := s.create()
	if err != nil {
		return fmt.Errorf("multiproc: %w", err)
	}
	s.adopt(store)
	return nil
}

// Store returns the store, and opens it if need be.
func (s *Set) Store() *mmapstore.Store {
	s.mu.Lock()
	defer s.unlock()
	return s.open()
}

// unlock ends a section that may have called open. The log is told without
// the lock: its handler may update an instrument of this Set.
func (s *Set) unlock() {
	err, log := s.fallback, s.unlogged
	s.unlogged = false
	s.mu.Unlock()
	if log {
		s.opts.Logger.Error("multiproc: no metrics file, this process's metrics are seen by nobody else", "error", err)
	}
}

// Fallback returns why the values are on the heap although the Set has a
// directory, or nil.
func (s *Set) Fallback() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fallback
}

// Close publishes the gauge functions once more and marks the store closed:
// readers take the process for dead. Updates through existing handles still
// count. Closing twice does nothing.
func (s *Set) Close() error {
	if s.Opened() {
		s.Publish()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.ended)
	if store := s.store.Load(); store != nil {
		return store.Close()
	}
	return nil
}

// Publish evaluates the gauge functions now; the first one opens the store.
func (s *Set) Publish() {
	s.mu.Lock()
	functions := s.functions[:len(s.functions):len(s.functions)]
	if s.closed {
		functions = nil
	}
	s.mu.Unlock()
	// Without the lock: a function may update instruments of this Set.
	for _, f := range functions {
		f.evaluate()
	}
}

func (s *Set) storeOptions() mmapstore.Options {
	return mmapstore.Options{Label: s.opts.Label, Now: s.opts.Now}
}

func (s *Set) create() (*mmapstore.Store, error) {
	if s.opts.Dir == "" || s.closed {
		return mmapstore.NewHeap(s.storeOptions()), nil
	}
	return mmapstore.Create(s.opts.Dir, s.storeOptions())
}

// open is Open for updates, which have nobody to return an error to: where
// there can be no file, values go to the heap. The caller ends with unlock,
// which says so in the log once.
func (s *Set) open() *mmapstore.Store {
	if store := s.store.Load(); store != nil {
		return store
	}
	store, err := s.create()
	if err != nil {
		s.fallback, s.unlogged = err, true
		store = mmapstore.NewHeap(s.storeOptions())
	}
	s.adopt(store)
	return store
}

// adopt gives every declared instrument its family, and every series its cells.
func (s *Set) adopt(store *mmapstore.Store) {
	for _, in := range s.declared {
		in.addFamily(store)
	}
	s.store.Store(store)
	for i, n := range headerCounters {
		if waiting := s.waiting[i].Swap(0); waiting > 0 {
			store.Count(n, waiting)
		}
	}
	for _, b := range s.unbound {
		b.bindLocked()
	}
	s.unbound = nil
	if len(s.functions) > 0 {
		s.startPublisher()
	}
}

// startPublisher evaluates the gauge functions at a period until Close.
func (s *Set) startPublisher() {
	go func() {
		tick := time.NewTicker(s.opts.PublishPeriod)
		defer tick.Stop()
		for {
			select {
			case <-s.ended:
				return
			case <-tick.C:
				s.Publish()
			}
		}
	}()
}

// Counts of the header that wait for the store, by place.
var headerCounters = [4]mmapstore.Counter{
	mmapstore.InvalidUpdates, mmapstore.OverflowSeries, mmapstore.FallbackSeries, mmapstore.DiscardedCalls,
}

const (
	countInvalid   = 0
	countOverflow  = 1
	countDiscarded = 3
)

// count adds one to a header counter, without opening the store for it.
func (s *Set) count(which int) {
	if store := s.store.Load(); store != nil {
		store.Count(headerCounters[which], 1)
		return
	}
	s.waiting[which].Add(1)
}

// nanos is the wall time of now: that of the Set's start plus what the
// monotonic clock says has passed, so that it does not jump.
func (s *Set) nanos() int64 { return s.base.Add(s.opts.Now().Sub(s.base)).UnixNano() }

// instrument is a definition in a Set, with the object that the user holds.
type instrument struct {
	set       *Set
	schema    *metric.Schema
	maxSeries int
	family    *mmapstore.Family // nil until the store opens; guarded by set.mu
	public    any               // *Counter, *CounterVec, …
}

func (in *instrument) addFamily(store *mmapstore.Store) {
	f, err := store.AddFamily(in.schema)
	if err != nil && !errors.Is(err, mmapstore.ErrClosed) {
		panic("multiproc: a checked definition was refused: " + err.Error())
	}
	in.family = f
}

// declare registers a definition, or returns the instrument that has an equal
// one. make builds the object that the user holds; the Set's lock is held.
func declare[T any](s *Set, schema *metric.Schema, maxSeries int, make func(*instrument) *T) (*T, error) {
	if err := check(schema); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := schema.Name + schema.Const.String()
	if old := s.instruments[key]; old != nil {
		public, same := old.public.(*T)
		if !same || !old.schema.Equal(schema) {
			return nil, conflict(old.schema, schema)
		}
		return public, nil
	}
	names := metric.SampleNames(schema.Name, schema.Type)
	for _, n := range names {
		if old := s.names[n]; old != nil && !sameFamily(old.schema, schema) {
			return nil, conflict(old.schema, schema)
		}
	}
	if maxSeries <= 0 {
		maxSeries = s.opts.MaxSeries
	}
	in := &instrument{set: s, schema: schema, maxSeries: maxSeries}
	if store := s.store.Load(); store != nil {
		in.addFamily(store)
	}
	public := make(in)
	in.public = public
	s.instruments[key] = in
	s.declared = append(s.declared, in)
	for _, n := range names {
		s.names[n] = in
	}
	return public, nil
}

// sameFamily reports whether two instruments with different constant labels
// may be one family: all but the labels' values is equal.
func sameFamily(a, b *metric.Schema) bool {
	if a.Name != b.Name || len(a.Const) != len(b.Const) {
		return false
	}
	for i := range a.Const {
		if a.Const[i].Name != b.Const[i].Name {
			return false
		}
	}
	c := *b
	c.Const = a.Const
	return a.Equal(&c)
}

func conflict(old, new *metric.Schema) error {
	return fmt.Errorf("multiproc: %w: %s %q, and %s %q was declared before", ErrConflict, new.Type, new.Name, old.Type, old.Name)
}
