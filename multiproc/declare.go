package multiproc

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// instrument is a schema in a Set, and the object that the user holds.
type instrument struct {
	// Immutable.
	set       *Set
	schema    *metric.Schema
	key       string       // of Set.instruments
	separate  bool         // Opts.Separate
	words     int          // of a series
	buckets   *bucketTable // of a histogram
	maxSeries int
	nowhere   bool          // its series are in no store
	public    any           // *Counter, *CounterVec, …
	expires   expirer       // a Vec; else nil
	asked     time.Duration // Opts.TTL

	exemplarTTL time.Duration // HistogramOpts.NativeHistogramExemplarTTL, with its default

	due time.Time // when the janitor looks at it; guarded by set.mu

	family *mpm.SchemaRef // nil until the store opens; guarded by set.mu
}

// object is an instrument with one set of label values: a Counter, a Gauge, …
type object[T any] interface {
	*T
	// init makes it a series of in. The Set's lock is held. The caller owns the values
	// and their bytes, and may use them again.
	init(in *instrument, values []string)
	// remove removes it from the merged view.
	remove()
	// take takes over what an expired one of the same labels has counted since its words were
	// old.
	take(words mpm.AllWords, old []uint64)
	// renewed is called after it has begun a new life.
	renewed()
}

// single makes the object of an instrument without labels.
func single[T any, P object[T]](in *instrument) *T {
	c := new(T)
	P(c).init(in, nil)
	return c
}

// addFamily gives the instrument its schema in the store. Schemas never leave a store, so
// an equal one of a removed instrument is used again. Only a closed store refuses a
// checked schema; then the instrument's series go nowhere.
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

// declare adds a schema, or returns the instrument that has an equal one. make builds the
// object that the user holds. The Set's lock is held.
func declare[T any](s *Set, schema *metric.Schema, maxSeries int, separate bool, make func(*instrument) *T) (*T, error) {
	asked := schema.TTL
	schema.TTL = 0
	if err := checkTTL(asked); err != nil {
		return nil, fmt.Errorf("multiproc: define %q: %w: TTL %w", schema.Name, form.ErrSchema, err)
	}
	if err := checkSchema(schema); err != nil {
		return nil, err
	}
	var c options.Checker
	if options.Number(&c, "MaxSeries", &maxSeries, s.opts.MaxSeries, options.NoLimit); c.Err() != nil {
		return nil, fmt.Errorf("multiproc: define %q: %w: %w", schema.Name, form.ErrSchema, c.Err())
	}
	if maxSeries == options.NoLimit {
		maxSeries = math.MaxInt
	}
	s.mu.Lock()
	defer s.unlock()
	schema.TTL = s.ttlOf(schema, asked)
	key := instrumentKey(schema, separate)
	if old := s.instruments[key]; old != nil {
		public, same := old.public.(*T)
		if !same || separate || !old.schema.Equal(schema) {
			return nil, conflict(old.schema, schema)
		}
		return public, nil
	}
	names := openmetrics.SampleNames(schema.Name, schema.Type)
	for _, n := range names {
		if old := s.names[n]; old != nil && !(sameFamily(old.schema, schema) || separate && old.separate && sameKind(old.schema, schema)) {
			return nil, conflict(old.schema, schema)
		}
	}
	in := &instrument{set: s, schema: schema, key: key, separate: separate, words: mpm.WordsPerSeries(schema), maxSeries: maxSeries, asked: asked}
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
	if s.Opened() {
		s.startJanitor()
	}
	return public, nil
}

// instrumentKey differs for different instruments of a Set: the name, the constant labels
// and, for separate ones, the names of the variable labels.
func instrumentKey(schema *metric.Schema, separate bool) string {
	key := schema.Name + "\xff" + schema.Const.String() // no name has this byte
	if separate {
		sorted := slices.Sorted(slices.Values(schema.Labels))
		key += "\xff" + strings.Join(sorted, "\xff")
	}
	return key
}

// sameKind reports whether two separate instruments may be one family. They may differ in
// labels and in how fine their buckets are.
func sameKind(a, b *metric.Schema) bool {
	return a.Name == b.Name && a.Help == b.Help && a.Unit == b.Unit && a.Type == b.Type && a.Mode == b.Mode &&
		histogram.KindOf(a) == histogram.KindOf(b)
}

// sameFamily reports whether two instruments with different constant labels may be one
// family: everything but the values of these labels is equal.
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
