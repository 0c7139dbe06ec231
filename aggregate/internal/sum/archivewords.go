package sum

import (
	"errors"
	"math"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// ErrUnpack says that the words cannot be those of a series of the type.
var ErrUnpack = errors.New("its values do not fit its type")

// How the values of a series stand in the archive (docs/format.md, "The archive"): a fixed
// number of words, then the parts of an exact sum. An infinity or NaN is the last part,
// except for the gauge, which has a word for it.
//
//	counter          low and high word of the whole increments; parts
//	summary          count; parts
//	histogram        observations per bucket; parts
//	native histogram what histogram.Total.AppendWords appends, after Fit; observations per
//	                 classic bucket without +Inf; parts
//	gauge sum        1 set, 2 with a sum of infinities and NaN; that sum; parts
//	gauge all, min, max   the value's bits, or UnsetBits
//	mostrecent       of each value that is kept: its bits; nanoseconds since 1970
//	state set all    number of the state
//	info             nanoseconds since 1970: when the process opened its file

// fixedWords returns how many words there are at least. Only sums and values with times may
// have more.
func fixedWords(s *metric.Schema) int {
	switch {
	case s.Type == metric.Histogram:
		return ClassicCounts(s, len(s.Bounds)) // of a native one more
	case s.Timed():
		return 0
	case Summed(s) && s.Type != metric.Summary:
		return 2
	}
	return 1
}

const (
	sumSet     = 1
	sumSpecial = 2
)

// Pack returns the accumulator's words in the archive.
func (a *Accumulator) Pack(s *metric.Schema) []uint64 {
	value := math.Float64bits(a.value)
	switch s.Type {
	case metric.Counter:
		return append([]uint64{a.Ints, a.Hi}, a.Sum.words()...)
	case metric.Summary:
		return append([]uint64{a.Ints}, a.Sum.words()...)
	case metric.Histogram:
		var w []uint64
		if a.Native != nil {
			a.Native.Fit()
			w = a.Native.AppendWords(w)
		}
		return append(append(w, a.Counts...), a.Sum.words()...)
	case metric.Info:
		return []uint64{uint64(a.Newest)}
	}
	switch {
	case s.Timed():
		return a.Recents.Pack()
	case s.Type == metric.StateSet:
		return []uint64{a.state}
	case Summed(s):
		w := []uint64{0, math.Float64bits(a.Sum.Special)}
		if a.Set {
			w[0] |= sumSet
		}
		if a.Sum.Odd {
			w[0] |= sumSpecial
		}
		return append(w, a.Sum.parts()...)
	case !a.Set:
		return []uint64{mpm.UnsetBits}
	}
	return []uint64{value}
}

// Spare is memory for the next Unpack.
type Spare struct {
	Recents Recents
	Native  histogram.Total
}

// Unpack is the reverse of Pack. Recents and Native of the result are in spare.
func Unpack(s *metric.Schema, w []uint64, spare *Spare) (a Accumulator, err error) {
	if IsNative(s) {
		if w, err = spare.Native.ReadWords(w); err != nil {
			return a, err
		}
		a.Native = &spare.Native
	}
	fixed := fixedWords(s)
	if len(w) < fixed || len(w) > fixed && !Summed(s) && !s.Timed() {
		return a, ErrUnpack
	}
	a.Present = true
	if s.Timed() {
		a.Recents, err = UnpackRecents(spare.Recents[:0], w)
		spare.Recents = a.Recents
		return a, err
	}
	for _, bits := range w[fixed:] {
		a.Sum.Add(math.Float64frombits(bits))
	}
	if s.Type == metric.Histogram {
		a.Counts = w[:fixed:fixed]
		return a, nil
	}
	value := math.Float64frombits(w[0])
	switch {
	case s.Type == metric.Counter:
		a.Ints, a.Hi = w[0], w[1]
	case s.Type == metric.Summary:
		a.Ints = w[0]
	case s.Type == metric.Info:
		a.Newest = int64(w[0])
	case s.Type == metric.StateSet:
		a.state = w[0]
	case Summed(s):
		a.Set = w[0]&sumSet != 0
		if w[0]&sumSpecial != 0 {
			a.Sum.Odd, a.Sum.Special = true, math.Float64frombits(w[1])
		}
	case w[0] != mpm.UnsetBits:
		a.value, a.Set = value, true
	}
	return a, nil
}

// Pack returns the words of the values in the archive.
func (rs Recents) Pack() (w []uint64) {
	for _, r := range rs {
		w = append(w, math.Float64bits(r.Value), uint64(r.Nanos))
	}
	return w
}

// UnpackRecents is the reverse of Recents.Pack. It appends to rs.
func UnpackRecents(rs Recents, w []uint64) (Recents, error) {
	last := int64(0)
	for ; len(w) >= 2; w = w[2:] {
		r := recentOf(w)
		if r.Nanos <= last {
			return nil, ErrUnpack
		}
		rs, last = append(rs, r), r.Nanos
	}
	if len(w) > 0 {
		return nil, ErrUnpack
	}
	return rs, nil
}
