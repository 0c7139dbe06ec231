package multiproc

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
)

// SetOptions of NewSet. The zero value is a Set on the heap.
type SetOptions struct {
	// Dir is the directory of the file. Empty: values are on the heap.
	Dir string
	// ProcessID names this process in the merged view, where it is the value of the
	// label pid: at most 128 bytes of UTF-8. Default: the PID. A supervisor can use the
	// worker's slot, which survives restarts (supervisor.Options.ProcessID).
	ProcessID string
	// FileMode is the permissions of the file, whatever the umask is. Default 0600: the
	// reader is the same user, or root.
	//
	// A reader of another user needs a group that both are in: a directory of
	// that group with mode 2750 or, where several users write, 2770 (the 2 gives
	// new files the directory's group), and files of mode 0640. The reader
	// trusts the directory's owner, and others by `mpctl serve --trust-uid`.
	// 0660 lets it mark processes dead as well.
	FileMode os.FileMode
	// MaxSeries is how many series a Vec may have. Further label sets share an overflow
	// series. Default 10,000; or metric.NoLimit.
	MaxSeries int
	// KeepRemoved is how long the values of a series that was removed stay in the file before
	// other series may have its space. They stay longer while any code can still reach the
	// instrument, and until the garbage collector has found that none can. The other
	// processes have that long to remove the series too, and a reader half of it to read the
	// file. Default 2 minutes. metric.KeepNone gives the space away at once, which is for
	// tests: readers may then find a busy file stale.
	KeepRemoved time.Duration
	// TTL is the default of the TTL of instruments with labels (Opts.TTL). Default: none, series
	// never expire.
	TTL time.Duration
	// PublishPeriod is how often gauge functions are evaluated. Default 5 s.
	PublishPeriod time.Duration
	// Logger gets an error if the file cannot be made. Default: slog.Default at that
	// time.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// withDefaults checks the options and fills in defaults. They can be used even if there is
// an error: Set.Open returns it, but updates must not fail.
func (o SetOptions) withDefaults() (SetOptions, error) {
	var c options.Checker
	if err := mpm.CheckProcessID(o.ProcessID); err != nil {
		c.Failf("ProcessID", "is invalid: %v", err)
	}
	if o.FileMode != 0 {
		if _, err := mpm.ParseFileMode(fmt.Sprintf("%o", uint32(o.FileMode))); err != nil {
			c.Failf("FileMode", "is invalid: %v", err)
		}
	}
	options.Number(&c, "MaxSeries", &o.MaxSeries, defaultMaxSeries, options.NoLimit)
	options.Number(&c, "PublishPeriod", &o.PublishPeriod, defaultPublishPeriod)
	options.Number(&c, "KeepRemoved", &o.KeepRemoved, mpm.DefaultKeepRemoved, options.KeepNone)
	if o.TTL != options.NoLimit {
		if err := lifetime.Check(o.TTL); err != nil {
			c.Failf("TTL", "%v, or metric.NoLimit for none", err)
		}
	}
	err := c.Err()
	if err != nil {
		o.TTL = max(o.TTL, 0)
		if lifetime.Check(o.TTL) != nil {
			o.TTL = 0
		}
		o.MaxSeries, o.PublishPeriod = max(o.MaxSeries, 1), max(o.PublishPeriod, defaultPublishPeriod)
		if o.KeepRemoved < 0 && o.KeepRemoved != options.KeepNone {
			o.KeepRemoved = mpm.DefaultKeepRemoved
		}
	}
	if o.MaxSeries == options.NoLimit {
		o.MaxSeries = math.MaxInt
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, err
}

const (
	defaultMaxSeries     = 10_000
	defaultPublishPeriod = 5 * time.Second
)

// Set is a group of instruments with one store. It is safe for concurrent use.
//
// Declaring an instrument does no I/O. Open, or the first update of an instrument, opens
// the store and makes the file.
type Set struct {
	opts    SetOptions
	invalid error               // what is wrong with opts: for Open
	clock   func() time.Time    // SetOptions.Now; nil: the system's
	getenv  func(string) string // of the default Set, whose place comes from the environment; else nil

	// Read without a lock; at and store are set once, in this order.
	at      atomic.Pointer[place]     // where the store is
	store   atomic.Pointer[mpm.Store] // nil until opened
	waiting [3]atomic.Uint64          // header counts from before the store opened

	saying sync.Once // writes to the log that the file is gone

	mu          sync.Mutex // taken after a vec's, before the store's
	closed      bool
	fallback    error    // why no other process sees the values although there is a Dir
	untold      []notice // for the log, once the store is open
	names       map[string]*instrument
	claims      map[string]any         // owners of names that are no instrument's, see Claim
	instruments map[string]*instrument // by instrument.key
	removed     map[string]*instrument // the last one of each key that was removed, for its family
	declared    []*instrument          // in order
	unbound     []waiting              // for the store
	scratch     []string               // label values of a series that is being made
	functions   []function
	publisher   *time.Timer // evaluates them; nil before there are any in an open Set
	janitor     *time.Timer // has series expire; nil if no instrument of an open Set has a TTL

	cleaning sync.Mutex // held by a run of the janitor; taken before a Vec's
}

// binder is a series that can be given its words. The Set's lock is held; values
// are those of the variable labels.
type binder interface{ bindLocked(values []string) }

// waiting is a series that waits for the store.
type waiting struct {
	binder
	values []string
}

// NewSet returns a Set without instruments. If an option is invalid, Open returns the
// error.
func NewSet(opts SetOptions) *Set {
	clock := opts.Now
	opts, err := opts.withDefaults()
	return &Set{
		opts: opts, invalid: err, clock: clock,
		names: map[string]*instrument{}, instruments: map[string]*instrument{}, removed: map[string]*instrument{},
	}
}

// Opened reports whether the store is open.
func (s *Set) Opened() bool { return s.store.Load() != nil }

// Open opens the store and gives every declared instrument its series. The error says why
// there can be no file: it wraps one of package fs, mmapstore.ErrFull, or after Close
// mmapstore.ErrClosed. A Set that has fallen back to the heap returns the reason again.
// Invalid options and variables are errors too.
//
// A second call does nothing. The default Set reads the environment when the store opens.
// If a variable has changed since, the error is ErrTooLate, and nothing changes.
func (s *Set) Open() error {
	s.mu.Lock()
	defer s.unlock()
	switch {
	case s.closed:
		return fmt.Errorf("multiproc: open: %w", mpm.ErrClosed)
	case s.Opened():
		if err := s.changed(); err != nil {
			return fmt.Errorf("multiproc: open: %w", err)
		}
		return s.fallback
	}
	at, err := s.place()
	if err == nil {
		err = s.early(at)
	}
	if err != nil {
		return fmt.Errorf("multiproc: open: %w", err)
	}
	store, err := s.create(at)
	if err != nil {
		return fmt.Errorf("multiproc: open: %w", err)
	}
	s.settle(at)
	s.adopt(store)
	return nil
}

// Fallback returns why no other process sees the values although the Set has a directory:
// the file could not be made, or it was deleted later (mmapstore.ErrDeleted). Otherwise it
// returns nil. A deletion is noticed at a new series, a Publish or a scrape of this
// process, if the last look is a minute old.
func (s *Set) Fallback() error {
	s.mu.Lock()
	defer s.unlock()
	s.noticeDeleted()
	return s.fallback
}

// Close evaluates the gauge functions once more and marks the store closed, so that readers
// take the process for dead. Updates of existing instruments still count. What is declared
// or looked up later goes nowhere, and a Set that had no file gets none. Close does not
// wait for a gauge function that is running. A second call does nothing.
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
	if s.publisher != nil {
		s.publisher.Stop()
	}
	if s.janitor != nil {
		s.janitor.Stop()
	}
	if store := s.store.Load(); store != nil {
		return store.Close()
	}
	return nil
}

// Publish evaluates the gauge functions now. The first one opens the store.
func (s *Set) Publish() {
	if store := s.store.Load(); store != nil {
		store.CheckLink() // unlock tells the log
	}
	s.mu.Lock()
	functions := s.functions[:len(s.functions):len(s.functions)]
	if s.closed {
		functions = nil
	}
	s.unlock()
	// Without the lock: a function may update instruments of this Set.
	for _, f := range functions {
		f.evaluate()
	}
}

func (s *Set) create(at place) (*mpm.Store, error) {
	if at.dir == "" || s.closed {
		return s.heap(at), nil
	}
	return mpm.Create(at.dir, mpm.Options{Label: at.id, Mode: at.mode, KeepRemoved: s.opts.KeepRemoved, Now: s.clock})
}

// heap returns a store on the heap. It has no permissions: invalid ones must not fail an
// update.
func (s *Set) heap(at place) *mpm.Store {
	return mpm.NewHeap(mpm.Options{Label: at.id, KeepRemoved: s.opts.KeepRemoved, Now: s.clock})
}

// open is Open for updates, which cannot return an error: if there can be no file, values
// go to the heap. The caller ends with unlock, which writes that to the log once.
func (s *Set) open() *mpm.Store {
	if store := s.store.Load(); store != nil {
		return store
	}
	at, err := s.place()
	var store *mpm.Store
	if err == nil {
		store, err = s.create(at)
	}
	s.settle(at)
	if early := s.early(at); early != nil {
		s.tell(slog.LevelError, "some metrics are seen by nobody else", "error", early)
	}
	if err != nil {
		s.fallback = err
		s.tell(slog.LevelError, "no metrics file, this process's metrics are seen by nobody else", "error", err)
		store = s.heap(at)
	}
	s.adopt(store)
	return store
}

// adopt gives every declared instrument its schema in the store, and every series its
// words.
func (s *Set) adopt(store *mpm.Store) {
	for _, in := range s.declared {
		in.takeTTL()
		in.addFamily(store)
	}
	s.store.Store(store)
	for which := range headerCounters {
		s.flush(which, store)
	}
	for _, w := range s.unbound {
		w.bindLocked(w.values)
	}
	if store.Path() != "" {
		s.warnOfDir()
	}
	s.unbound = nil
	if len(s.functions) > 0 {
		s.startPublisher()
	}
	s.startJanitor()
}

// await adds a series to those that wait for the store. The caller owns the bytes of
// values.
func (s *Set) await(b binder, values []string) {
	s.unbound = append(s.unbound, waiting{b, cloned(values)})
}

// forget removes a series from those that wait for the store.
func (s *Set) forget(b binder) {
	if i := slices.IndexFunc(s.unbound, func(w waiting) bool { return w.binder == b }); i >= 0 {
		s.unbound = slices.Delete(s.unbound, i, i+1)
	}
}

// startPublisher evaluates the functions now, so that no reader sees them unset for a
// period, and then at each period until Close. A goroutine exists only while they run. The
// Set's lock is held.
func (s *Set) startPublisher() {
	if s.publisher != nil || s.closed {
		return
	}
	s.publisher = time.AfterFunc(0, func() {
		s.Publish()
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed {
			s.publisher.Reset(s.opts.PublishPeriod)
		}
	})
}

// Counts of the header that wait for the store.
var headerCounters = [3]mpm.Counter{
	mpm.InvalidUpdates, mpm.OverflowSeries, mpm.DiscardedCalls,
}

const (
	countInvalid = iota
	countOverflow
	countDiscarded
)

// count adds one to a counter of the header, and does not open the store for it.
func (s *Set) count(which int) {
	if store := s.store.Load(); store != nil {
		store.Count(headerCounters[which], 1)
		return
	}
	s.waiting[which].Add(1)
	// The store may have opened, and taken what waits, between the two lines.
	if store := s.store.Load(); store != nil {
		s.flush(which, store)
	}
}

func (s *Set) flush(which int, store *mpm.Store) {
	if n := s.waiting[which].Swap(0); n > 0 {
		store.Count(headerCounters[which], n)
	}
}

// nanos is the time of a mostrecent value or an exemplar. It is that of the wall clock, so
// that a process has the right time as soon as a wrong clock is corrected.
func (s *Set) nanos() int64 { return s.opts.Now().UnixNano() }
