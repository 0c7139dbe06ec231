package access

import (
	"sync/atomic"
	"unsafe"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Functions of a *multiproc.Set.
var (
	// Store returns the Set's store, and opens it if necessary.
	Store func(set any) *mpm.Store

	// Claim reserves sample names (openmetrics.SampleNames) for owner, which writes their series
	// into the Set's store itself. Without it, two writers could write the same series, and
	// readers would add them up. The owner keeps the names as long as the Set exists;
	// claiming them again is no error. If an instrument or another owner has one of them,
	// the error matches multiproc.ErrConflict, and none is reserved.
	//
	// An instrument that is declared later takes its names without an error. So an owner
	// claims before each of its updates, and stops writing if it is refused. owner must be
	// comparable, preferably a pointer.
	Claim func(set, owner any, names []string) error

	// Declares reports whether an instrument of the Set has that name, as in metric.Schema,
	// and type. An adapter that publishes gathered metrics skips such a family.
	Declares func(set any, name string, t metric.Type) bool
)

// Functions of a *multiproc.Counter.
var (
	// Bound returns the counter as a BoundCounter. ok is false while it has no words: before
	// its Set is open, and before the first update.
	Bound func(counter any) (b BoundCounter, ok bool)

	// Unlabelled returns the counter as an UnlabelledCounter. ok is false while it has no
	// words, and if it belongs to a Vec.
	Unlabelled func(counter any) (u UnlabelledCounter, ok bool)
)

// Native returns what this process has observed in a *multiproc.Histogram with native buckets:
// count, sum and both kinds of buckets, which agree, without exemplars. ok is false if it has no
// native buckets.
var Native func(histogram any) (s metric.Series, ok bool)

// Expired reports whether an instrument of a Vec, such as a *multiproc.Counter, has expired or
// was removed, and no update has brought it back.
var Expired func(instrument any) bool

// Look runs the janitor of a *multiproc.Set now, which else does so at its period: for tests that
// move the Set's clock.
var Look func(set any)

// BoundCounter is a counter of a process that has opened its store. Its Inc is one atomic add
// without any check before it. Adapters use it in types that implement an interface, where
// Counter.Inc is not inlined and costs a tenth more. For everything else they use the
// counter.
type BoundCounter struct {
	first   unsafe.Pointer // *uint64
	counter unsafe.Pointer // prevents the words from being reused for another series
}

// NewBoundCounter returns the BoundCounter of a counter whose first word is that one.
func NewBoundCounter(first, counter unsafe.Pointer) BoundCounter { return BoundCounter{first, counter} }

// Inc adds 1.
func (b *BoundCounter) Inc() {
	atomic.AddUint64((*uint64)(b.first), 1)
	atomic.LoadPointer(&b.first) // the counter stays reachable until here
}

// UnlabelledCounter is a BoundCounter that does not belong to a Vec. It cannot be removed, so
// its Inc need not keep it reachable, which saves 4%.
type UnlabelledCounter struct{ first unsafe.Pointer }

// NewUnlabelledCounter returns the UnlabelledCounter whose first word is that one.
func NewUnlabelledCounter(first unsafe.Pointer) UnlabelledCounter { return UnlabelledCounter{first} }

// Inc adds 1.
func (u *UnlabelledCounter) Inc() { atomic.AddUint64((*uint64)(u.first), 1) }
