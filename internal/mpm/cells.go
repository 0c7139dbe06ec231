package mpm

import (
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/multiprom/multiprom/internal/histogram"
)

// Positions of the words in the cells of a series (docs/format.md, "Cells").
const (
	CellCounterInts  = 0 // sum of whole increments below 2^32
	CellCounterFloat = 1 // f64, sum of all others

	CellGauge = 0 // f64, or UnsetBits

	CellHistogramSum     = 0 // f64
	CellHistogramBuckets = 1 // the first bucket's observations, not cumulative

	// Those of a native histogram are the cells of package histogram, then one for each finite
	// bound.
	CellNativeBuckets = histogram.Cells

	CellSummaryCount = 0
	CellSummarySum   = 1 // f64

	CellState = 0 // number of the state

	recentWords = 5 // sequence, and two pairs of value and time

	// CellUpdates is the second word of a gauge or a state set with a TTL that is not
	// mostrecent: how often it was updated. An update to the same value changes it too.
	CellUpdates  = 1
	countedWords = 2
)

// UnsetBits are the bits of a gauge that was never set: a NaN that no arithmetic produces.
// Set must store any other NaN instead.
const UnsetBits = 0x7FF86D756E736574

// StoreRecent publishes a value with its time, in nanoseconds since 1970, in the cells of a
// mostrecent gauge or state set. Calls must not overlap: writers of the process take a
// mutex. Readers in other processes need none.
func StoreRecent(w []uint64, bits uint64, nanos int64) {
	seq := atomic.LoadUint64(&w[0]) + 1
	pair := w[1+2*(seq&1):]
	atomic.StoreUint64(&pair[0], bits)
	atomic.StoreUint64(&pair[1], uint64(nanos))
	atomic.StoreUint64(&w[0], seq)
}

// LoadRecent returns the pair that StoreRecent published last. A time of 0 means that it was
// never set. ok is false if the writer was too busy for a consistent pair, which takes two
// whole updates within each of many tries.
func LoadRecent(w []uint64) (bits uint64, nanos int64, ok bool) {
	for range 64 {
		seq := atomic.LoadUint64(&w[0])
		pair := w[1+2*(seq&1):]
		bits, nanos = atomic.LoadUint64(&pair[0]), int64(atomic.LoadUint64(&pair[1]))
		if atomic.LoadUint64(&w[0]) == seq {
			return bits, nanos, true
		}
	}
	return 0, 0, false
}

// CounterValue adds the two words of a counter.
func CounterValue(ints, frac uint64) float64 { return float64(ints) + math.Float64frombits(frac) }

func loadWord(b []byte, off uint64) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&b[off])))
}

func storeWord(b []byte, off, v uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&b[off])), v)
}

func addWord(b []byte, off, delta uint64) {
	atomic.AddUint64((*uint64)(unsafe.Pointer(&b[off])), delta)
}

func loadState(b []byte, off uint64) uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&b[off])))
}

func storeState(b []byte, off uint64, v uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b[off])), v)
}
