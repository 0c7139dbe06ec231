package multiproc

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
	"unsafe"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
)

// overflowValue is every label value of the overflow series, which gets the updates of
// label sets beyond the limit.
const overflowValue = "__overflow__"

// maxKeyLen limits the length of all label values of a series, so that its record fits into
// a block.
const maxKeyLen = mpm.BlockSize - 512

// vec is the index of a family's instruments by their label values.
type vec[T any] struct {
	// Immutable.
	in      *instrument
	labels  int // how many
	init    func(c *T, values []string)
	remove  func(*T)
	take    func(c *T, words mpm.AllWords, old []uint64)
	renewed func(*T)
	nowhere *T // gets the updates of wrong lookups

	table    atomic.Pointer[table]
	overflow atomic.Pointer[T] // the overflow series, once there is one
	size     atomic.Int64      // series, the overflow series included

	mu      sync.Mutex // of changes to the index; taken before the Set's
	expired expiredSeries
}

// The instruments of a Vec begin with a series, because the table has pointers to series
// only.
const _ = -uint(unsafe.Offsetof(Gauge{}.s) | unsafe.Offsetof(Histogram{}.s) | unsafe.Offsetof(Summary{}.s) |
	unsafe.Offsetof(Enum{}.s) | unsafe.Offsetof(Info{}.s))

func newVec[T any, P object[T]](in *instrument) *vec[T] {
	v := &vec[T]{
		in: in, labels: len(in.schema.Labels), nowhere: new(T),
		init:    func(c *T, values []string) { P(c).init(in, values) },
		remove:  func(c *T) { P(c).remove() },
		take:    func(c *T, words mpm.AllWords, old []uint64) { P(c).take(words, old) },
		renewed: func(c *T) { P(c).renewed() },
	}
	in.expires = v
	P(v.nowhere).init(&instrument{set: in.set, schema: in.schema, words: in.words, buckets: in.buckets, nowhere: true}, nil)
	v.table.Store(newTable(minTableBits))
	return v
}

// with returns the instrument of these values and the curried ones. If it exists, that
// takes no lock and no allocation. Wrong values get the instrument that goes nowhere.
func (v *vec[T]) with(values []string, curry []curried) *T {
	if curry != nil {
		return v.withCurried(values, curry)
	}
	if len(values) == v.labels {
		if s := v.table.Load().find(hashValues(values), values); s != nil {
			return (*T)(unsafe.Pointer(s))
		}
	}
	return v.add(values)
}

func (v *vec[T]) withCurried(values []string, curry []curried) *T {
	if len(values) != v.labels-len(curry) {
		return v.wrong()
	}
	var buf [stackLabels]string
	return v.with(join(buf[:0], values, curry), nil)
}

// wrong counts a lookup with wrong labels.
func (v *vec[T]) wrong() *T {
	v.in.set.count(countDiscarded)
	return v.nowhere
}

// add returns the instrument of values that with did not find, and makes it if necessary.
func (v *vec[T]) add(values []string) *T {
	if len(values) != v.labels {
		return v.wrong()
	}
	for _, s := range values {
		if !utf8.ValidString(s) {
			return v.with(validValues(values), nil)
		}
		if len(s) > form.MaxLabelValueLen {
			return v.overflowing()
		}
	}
	if keyLen(values) > maxKeyLen {
		return v.overflowing()
	}
	hash := hashValues(values)
	if v.full() && v.overflow.Load() != nil && !v.expired.some.Load() {
		// Without the lock: once the limit is reached, every new label set comes here.
		if s := v.table.Load().find(hash, values); s != nil {
			return (*T)(unsafe.Pointer(s))
		}
		return v.overflowing()
	}
	defer v.in.set.say() // without our lock: the log handler may look up this vec
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.addLocked(hash, values)
}

// addLocked is the end of add. It is a function of its own, because with more returns add
// would set up its defers at each call.
func (v *vec[T]) addLocked(hash uint32, values []string) *T {
	if s := v.table.Load().find(hash, values); s != nil {
		return (*T)(unsafe.Pointer(s))
	}
	if c := v.revive(hash, values); c != nil {
		return c
	}
	if v.full() {
		return v.overflowLocked()
	}
	return v.insert(hash, values)
}

// full reports whether the limit is reached. The overflow series does not count.
func (v *vec[T]) full() bool {
	n := v.size.Load()
	if v.overflow.Load() != nil {
		n--
	}
	return n >= int64(v.in.maxSeries)
}

// insert makes the instrument of values that the table does not have.
func (v *vec[T]) insert(hash uint32, values []string) *T {
	c := new(T)
	s := (*series)(unsafe.Pointer(c))
	s.key = makeKey(values)
	set := v.in.set
	set.mu.Lock()
	// A copy, so that the caller's slice can stay on the stack.
	set.scratch = append(set.scratch[:0], values...)
	v.init(c, set.scratch)
	clear(set.scratch)
	set.mu.Unlock()
	t := v.table.Load()
	if with := t.insert(hash, s); with != t {
		v.table.Store(with)
	}
	v.size.Add(1)
	return c
}

// overflowing counts a lookup beyond the limit and returns the overflow series.
func (v *vec[T]) overflowing() *T {
	if c := v.overflow.Load(); c != nil {
		v.in.set.count(countOverflow)
		return c
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.overflowLocked()
}

// overflowLocked makes the overflow series. The index has it like any other: it can be
// looked up, and Reset removes it.
func (v *vec[T]) overflowLocked() *T {
	v.in.set.count(countOverflow)
	if c := v.overflow.Load(); c != nil {
		return c
	}
	values := make([]string, v.labels)
	for i := range values {
		values[i] = overflowValue
	}
	hash := hashValues(values)
	var c *T
	if s := v.table.Load().find(hash, values); s != nil {
		c = (*T)(unsafe.Pointer(s))
	} else {
		c = v.insert(hash, values)
	}
	v.overflow.Store(c)
	return c
}

// deleteIf removes the instruments whose values match, and returns their number.
func (v *vec[T]) deleteIf(match func(values []string) bool) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	t := v.table.Load()
	t.each(func(i int, s *series) {
		if match(s.key.values(v.labels)) {
			v.drop(t, i, s)
			n++
		}
	})
	v.forgetExpired(match)
	return n
}

// deleteOne removes the instrument of these values, and reports whether there
// was one.
func (v *vec[T]) deleteOne(values []string) bool {
	values = validValues(values) // as the series was made
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.table.Load()
	at, s := t.probe(hashValues(values), values)
	if s == nil {
		v.forgetExpired(func(of []string) bool { return slices.Equal(of, values) })
		return false
	}
	v.drop(t, at, s)
	return true
}

func (v *vec[T]) drop(t *table, i int, s *series) {
	c := (*T)(unsafe.Pointer(s))
	t.remove(i)
	v.overflow.CompareAndSwap(c, nil)
	v.size.Add(-1)
	v.remove(c)
}

// validValues returns a copy in which bytes that are not UTF-8 are replaced.
func validValues(values []string) []string {
	out := make([]string, len(values))
	for i, s := range values {
		out[i] = valid(s)
	}
	return out
}

// cloned returns a copy of the values and of their bytes.
func cloned(values []string) []string {
	out := make([]string, len(values))
	for i, s := range values {
		out[i] = strings.Clone(s)
	}
	return out
}

// valid returns a copy of s in which bytes that are not UTF-8 are replaced.
func valid(s string) string {
	return strings.ToValidUTF8(strings.Clone(s), string(utf8.RuneError))
}
