package multiproc

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// SetOptions of NewSet. The zero value is a Set on the heap.
type SetOptions struct {
	// Dir is the directory of the file; empty keeps values on the heap.
	Dir string
	// ProcessID names this process in the merged view, where it is the value of
	// the label pid: at most 128 bytes of UTF-8. Default: the pid. The slot of a
	// supervisor's worker survives restarts (supervisor.Options.ProcessID).
	ProcessID string
	// FileMode is the permissions of the file, whatever the umask is. Default
	// 0600: processes of one user, and a reader that is the same user or root.
	//
	// A reader of another user needs a group that both are in: a directory of
	// that group with mode 2750 or, where several users write, 2770 (the 2 gives
	// new files the directory's group), and files of mode 0640. The reader
	// trusts the directory's owner, and others by `mpctl serve --trust-uid`.
	// 0660 lets it mark processes dead as well.
	FileMode os.FileMode
	// MaxSeries bounds the series of a Vec; further label sets share an
	// overflow series. Default 10,000; NoLimit.
	MaxSeries int
	// PublishPeriod is how often gauge functions are evaluated. Default 5 s.
	PublishPeriod time.Duration
	// Logger gets an error when the file cannot be made. Default: slog.Default
	// at that time.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// NoLimit in a field of options that bounds something is no bound at all. The zero
// value of a field is always its default.
const NoLimit = options.NoLimit

// withDefaults checks the options and fills in what was left out. Beside an error
// they can be used: Set.Open returns it, and updates must not fail.
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
	options.Number(&c, "MaxSeries", &o.MaxSeries, defaultMaxSeries, NoLimit)
	options.Number(&c, "PublishPeriod", &o.PublishPeriod, defaultPublishPeriod)
	err := c.Err()
	if err != nil {
		o.MaxSeries, o.PublishPeriod = max(o.MaxSeries, 1), max(o.PublishPeriod, defaultPublishPeriod)
	}
	if o.MaxSeries == NoLimit {
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

// Set is a group of instruments over one store. It is safe for concurrent use.
//
// Declaring an instrument does no I/O. The store opens at Open, or at the
// first update of any instrument; only then is there a file.
type Set struct {
	opts    SetOptions
	invalid error               // what is wrong with opts: for Open
	getenv  func(string) string // of the default Set, whose place the environment says; else nil

	// Read without a lock; at and store are set once, in this order.
	at      atomic.Pointer[place]     // where the store is
	store   atomic.Pointer[mpm.Store] // nil until opened
	waiting [3]atomic.Uint64          // header counts from before the store opened

	saying sync.Once // that the file is gone

	mu          sync.Mutex // taken after a vec's, before the store's
	closed      bool
	fallback    error    // why nobody else sees the values although there is a Dir
	untold      []notice // what the log is to be told once the store is open
	names       map[string]*instrument
	claims      map[string]any         // owners of names that are no instrument's, see Claim
	instruments map[string]*instrument // by definition.key
	removed     map[string]*instrument // the last one of each key that was removed, for its family
	declared    []*instrument          // in order
	unbound     []waiting              // for the store
	scratch     []string               // label values of a series that is being made
	functions   []function
	publisher   *time.Timer // evaluates them; nil before there are any in an open Set
}

// binder is a series that can be given its words. The Set's lock is held; values
// are those of the variable labels.
type binder interface{ bindLocked(values []string) }

// waiting is a series that waits for the store.
type waiting struct {
	binder
	values []string
}

// NewSet returns a Set without instruments. Open says what is wrong with the
// options.
func NewSet(opts SetOptions) *Set {
	opts, err := opts.withDefaults()
	return &Set{
		opts: opts, invalid: err,
		names: map[string]*instrument{}, instruments: map[string]*instrument{}, removed: map[string]*instrument{},
	}
}

// Opened reports whether the store is open.
func (s *Set) Opened() bool { return s.store.Load() != nil }

// Open opens the store and gives every declared instrument its series. The
// error says why there can be no file: it wraps those of package fs,
// mmapstore.ErrFull, or mmapstore.ErrClosed after Close. A Set that has fallen
// back to the heap returns why. Invalid options and variables are errors too.
//
// Opening twice does nothing. The default Set obeys what the environment says when
// the store opens; if a variable says something else when it is open already, the
// error is ErrTooLate, and nothing is changed.
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

// Store returns the store, and opens it if need be.
func (s *Set) Store() *mpm.Store {
	s.mu.Lock()
	defer s.unlock()
	return s.open()
}

// Fallback returns why no other process sees the values although the Set has a
// directory, or nil: the file could not be made, or it was deleted since
// (mmapstore.ErrDeleted). The latter is noticed within a minute of the next new
// series, Publish or scrape of this process.
func (s *Set) Fallback() error {
	s.mu.Lock()
	defer s.unlock()
	s.noticeDeleted()
	return s.fallback
}

// Close publishes the gauge functions once more and marks the store closed:
// readers take the process for dead. Updates through existing handles still
// count; what is declared or looked up later goes nowhere, and a Set that never
// had a file gets none. A gauge function that runs meanwhile is not waited for.
// Closing twice does nothing.
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
	if store := s.store.Load(); store != nil {
		return store.Close()
	}
	return nil
}

// Publish evaluates the gauge functions now; the first one opens the store.
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
	return mpm.Create(at.dir, mpm.Options{Label: at.id, Mode: at.mode, Now: s.opts.Now})
}

// heap returns a store on the heap. It has no permissions: ones that are invalid must
// not fail an update.
func (s *Set) heap(at place) *mpm.Store {
	return mpm.NewHeap(mpm.Options{Label: at.id, Now: s.opts.Now})
}

// open is Open for updates, which have nobody to return an error to: where
// there can be no file, values go to the heap. The caller ends with unlock,
// which says so in the log once.
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

// adopt gives every declared instrument its family, and every series its cells.
func (s *Set) adopt(store *mpm.Store) {
	for _, in := range s.declared {
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
}

// await has a series bound once the store opens. The values' bytes are the
// caller's.
func (s *Set) await(b binder, values []string) {
	s.unbound = append(s.unbound, waiting{b, cloned(values)})
}

// forget takes a series that was removed before the store opened out of those
// that wait for it.
func (s *Set) forget(b binder) {
	if i := slices.IndexFunc(s.unbound, func(w waiting) bool { return w.binder == b }); i >= 0 {
		s.unbound = slices.Delete(s.unbound, i, i+1)
	}
}

// startPublisher evaluates the functions now, so that no reader sees them unset for
// a period, and then at the period until Close. A goroutine lives as long as that
// takes. The Set's lock is held.
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

// Counts of the header that wait for the store, by place.
var headerCounters = [3]mpm.Counter{
	mpm.InvalidUpdates, mpm.OverflowSeries, mpm.DiscardedCalls,
}

const (
	countInvalid = iota
	countOverflow
	countDiscarded
)

// count adds one to a header counter, without opening the store for it.
func (s *Set) count(which int) {
	if store := s.store.Load(); store != nil {
		store.Count(headerCounters[which], 1)
		return
	}
	s.waiting[which].Add(1)
	// The store may have opened and taken what waits between the two lines.
	if store := s.store.Load(); store != nil {
		s.flush(which, store)
	}
}

func (s *Set) flush(which int, store *mpm.Store) {
	if n := s.waiting[which].Swap(0); n > 0 {
		store.Count(headerCounters[which], n)
	}
}

// nanos is the time of a mostrecent value or an exemplar: that of the wall clock. Once a
// clock that was wrong is put right, a process has the right time too.
func (s *Set) nanos() int64 { return s.opts.Now().UnixNano() }

// instrument is a definition in a Set, with the object that the user holds.
type instrument struct {
	// Immutable.
	set       *Set
	schema    *metric.Schema
	key       string       // of Set.instruments
	separate  bool         // Opts.Separate
	words     int          // of a series
	buckets   *bucketTable // of a histogram
	maxSeries int
	nowhere   bool // its series are in no store
	public    any  // *Counter, *CounterVec, …

	family *mpm.SchemaRef // nil until the store opens; guarded by set.mu
}

// object is an instrument of one label set: a Counter, a Gauge, …
type object[T any] interface {
	*T
	// init makes it a series of in, with the Set's lock held. The values and
	// their bytes are the caller's, who may use them again.
	init(in *instrument, values []string)
	// remove takes it out of the merged view.
	remove()
}

// single makes the object of an instrument without labels.
func single[T any, P object[T]](in *instrument) *T {
	c := new(T)
	P(c).init(in, nil)
	return c
}

// addFamily gives the instrument its family: that of a removed one if the
// definition is equal, as definitions never leave a store. A closed store refuses
// it, and its series go nowhere; nothing else can be wrong with a checked
// definition.
func (in *instrument) addFamily(store *mpm.Store) {
	if old := in.set.removed[in.key]; old != nil && old.family != nil && old.schema.Equal(in.schema) {
		in.family = old.family
		delete(in.set.removed, in.key)
		return
	}
	if f, err := store.AddSchema(in.schema); err == nil {
		in.family = f
	}
}

// declare registers a definition, or returns the instrument that has an equal
// one. make builds the object that the user holds; the Set's lock is held.
func declare[T any](s *Set, schema *metric.Schema, maxSeries int, separate bool, make func(*instrument) *T) (*T, error) {
	if err := checkSchema(schema); err != nil {
		return nil, err
	}
	var c options.Checker
	if options.Number(&c, "MaxSeries", &maxSeries, s.opts.MaxSeries, NoLimit); c.Err() != nil {
		return nil, fmt.Errorf("multiproc: define %q: %w: %w", schema.Name, metric.ErrInvalidSchema, c.Err())
	}
	if maxSeries == NoLimit {
		maxSeries = math.MaxInt
	}
	s.mu.Lock()
	defer s.unlock()
	key := instrumentKey(schema, separate)
	if old := s.instruments[key]; old != nil {
		public, same := old.public.(*T)
		if !same || separate || !old.schema.Equal(schema) {
			return nil, conflict(old.schema, schema)
		}
		return public, nil
	}
	names := metric.SampleNames(schema.Name, schema.Type)
	for _, n := range names {
		if old := s.names[n]; old != nil && !(sameFamily(old.schema, schema) || separate && old.separate && sameKind(old.schema, schema)) {
			return nil, conflict(old.schema, schema)
		}
	}
	in := &instrument{set: s, schema: schema, key: key, separate: separate, words: mpm.WordsPerSeries(schema), maxSeries: maxSeries}
	if schema.Type == metric.Histogram {
		in.buckets = newBucketTable(schema.Bounds)
	}
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

// instrumentKey is what no two instruments of a Set share: the name and the constant
// labels, and of separate ones the names of the variable labels.
func instrumentKey(schema *metric.Schema, separate bool) string {
	key := schema.Name + "\xff" + schema.Const.String() // which no name has
	if separate {
		sorted := slices.Sorted(slices.Values(schema.Labels))
		key += "\xff" + strings.Join(sorted, "\xff")
	}
	return key
}

// sameKind reports whether two separate instruments may be one family: they may
// differ in labels and buckets.
func sameKind(a, b *metric.Schema) bool {
	return a.Name == b.Name && a.Help == b.Help && a.Unit == b.Unit && a.Type == b.Type && a.Mode == b.Mode
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
