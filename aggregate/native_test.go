package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// randomNative returns a declaration as one of a few versions of a program may have it.
func randomNative(r *rand.Rand) *metric.NativeSchema {
	return &metric.NativeSchema{
		Schema: []int{3, 3, 1, 8}[r.IntN(4)], MaxBuckets: []int{160, 160, 12}[r.IntN(3)],
		ZeroThreshold: []float64{0x1p-128, 0x1p-128, 0, 0.011}[r.IntN(4)], MaxExemplars: []int{10, 10, 2, 0}[r.IntN(4)],
	}
}

// nativeSchema returns a histogram of that name with native buckets, and with classic ones too
// if there are bounds.
func nativeSchema(r *rand.Rand, name string, bounds ...float64) *metric.Schema {
	return &metric.Schema{Name: name, Help: "N.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: bounds, Native: randomNative(r)}
}

// anyKind returns a histogram that is classic, native, or both.
func anyKind(r *rand.Rand, name string) *metric.Schema {
	s := nativeSchema(r, name, [][]float64{nil, {1, 2}, {1, 100}}[r.IntN(3)]...)
	if r.IntN(3) == 0 {
		s.Native = nil
	}
	return s
}

// recorded is a series with native buckets and what an instrument has of it.
type recorded struct {
	*mpm.Series
	schema *metric.Schema
	native histogram.Recorder
	traced int // exemplars so far
}

func newRecorded(s *mpm.Series, schema *metric.Schema) *recorded {
	out := &recorded{Series: s, schema: schema}
	out.native.Init(schema.Native, (*[histogram.Cells]uint64)(s.Words()), s)
	return out
}

// observe counts a value as an instrument does.
func (s *recorded) observe(x float64) {
	if !s.native.Observe((*[histogram.Cells]uint64)(s.Words()), x) && !s.native.ObserveRare(x) {
		return
	}
	if i, _ := slices.BinarySearch(s.schema.Bounds, x); i < len(s.schema.Bounds) && x == x {
		atomic.AddUint64(&s.Words()[mpm.CellNativeBuckets+i], 1)
	}
}

// trace sets an exemplar of a classic and of a native bucket.
func (s *recorded) trace(r *rand.Rand, x float64, now time.Time) {
	labels, bounds := metric.MakeLabels("id", strconv.Itoa(r.IntN(100))), s.schema.Bounds
	i, _ := slices.BinarySearch(bounds, x)
	s.SetExemplar(i, labels, x, now.UnixNano())
	if most := s.schema.Native.MaxExemplars; most > 0 {
		s.SetExemplar(len(bounds)+1+s.traced%most, labels, x, now.UnixNano())
		s.traced++
	}
}

func (s *recorded) restart(now time.Time) {
	s.Restart(now, func(words []uint64) { clear(words) })
	s.native.Restart()
}

// randomObservation returns a value, of which few are special.
func randomObservation(r *rand.Rand) float64 {
	switch r.IntN(40) {
	case 0:
		return [...]float64{math.NaN(), math.Inf(1), math.Inf(-1), 5e-324}[r.IntN(4)]
	case 1, 2, 3:
		return 0.01 * r.Float64() // within some thresholds
	case 4:
		return math.Ldexp(r.Float64(), r.IntN(200)-100)
	case 5, 6:
		return -r.ExpFloat64()
	}
	return float64(r.IntN(1000)) / 64 // sums of these are exact
}

// change counts some values.
func (s *recorded) change(r *rand.Rand, now time.Time) {
	for range 1 + r.IntN(8) {
		x := randomObservation(r)
		s.observe(x)
		if r.IntN(20) == 0 {
			s.trace(r, x, now)
		}
	}
}

// linesOfNative returns native buckets in the form of a test.
func linesOfNative(s *metric.Series) (lines []string) {
	h := s.Native
	if h == nil {
		return nil
	}
	lines = append(lines, fmt.Sprintf("native %d %x %d %v %v", h.Schema, h.ZeroThreshold, h.ZeroCount, h.Positive, h.Negative))
	if err := histogram.Check(h, s.Count, s.Sum); err != nil {
		lines = append(lines, err.Error())
	}
	for _, x := range h.Exemplars {
		lines = append(lines, fmt.Sprintf("native exemplar %s %x %d", x.Labels, x.Value, x.Timestamp.UnixNano()))
	}
	return lines
}
