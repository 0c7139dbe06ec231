package aggregate

import (
	"errors"
	"math"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// errUnpack: the words are not those of the type.
var errUnpack = errors.New("its values do not fit its type")

// How the values of a series stand in the archive (docs/format.md, "The
// archive"): some words of a fixed number, then the parts of an exact sum; but for
// the gauge, an infinity or NaN is the last of them.
//
//	counter          low and high word of the whole increments; parts
//	summary          count; parts
//	histogram        observations per bucket; parts
//	gauge sum        1 set, 2 with a sum of infinities and NaN; that sum; parts
//	gauge all, min, max   the value's bits, or UnsetBits
//	mostrecent       of each value that is kept: its bits; nanoseconds since 1970
//	state set all    number of the state
//	info             nanoseconds since 1970: when the process opened its file

// fixedWords returns how many words there are at least, and whether there may be more.
func fixedWords(s *metric.Schema) (n int, parts bool) {
	switch s.Type {
	case metric.Counter:
		return 2, true
	case metric.Summary:
		return 1, true
	case metric.Histogram:
		return len(s.Bounds) + 1, true
	}
	if summed(s) {
		return 2, true
	}
	if s.Timed() {
		return 0, true
	}
	return 1, false
}

const (
	sumSet     = 1
	sumSpecial = 2
)

// pack returns the accumulator's words in the archive.
func (a *accumulator) pack(s *metric.Schema) []uint64 {
	value := math.Float64bits(a.value)
	switch s.Type {
	case metric.Counter:
		return append([]uint64{a.ints, a.hi}, a.sum.words()...)
	case metric.Summary:
		return append([]uint64{a.ints}, a.sum.words()...)
	case metric.Histogram:
		return append(append([]uint64(nil), a.counts...), a.sum.words()...)
	case metric.Info:
		return []uint64{uint64(a.newest)}
	}
	switch {
	case s.Timed():
		return a.recents.pack()
	case s.Type == metric.StateSet:
		return []uint64{a.state}
	case summed(s):
		w := []uint64{0, math.Float64bits(a.sum.special)}
		if a.set {
			w[0] |= sumSet
		}
		if a.sum.odd {
			w[0] |= sumSpecial
		}
		return append(w, a.sum.parts()...)
	case !a.set:
		return []uint64{mpm.UnsetBits}
	}
	return []uint64{value}
}

// unpack is the reverse of pack. It puts what is recent into spare.
func unpack(s *metric.Schema, w []uint64, spare recents) (a accumulator, err error) {
	fixed, parts := fixedWords(s)
	if len(w) < fixed || len(w) > fixed && !parts {
		return a, errUnpack
	}
	a.present = true
	if s.Timed() {
		a.recents, err = unpackRecents(spare, w)
		return a, err
	}
	for _, bits := range w[fixed:] {
		a.sum.add(math.Float64frombits(bits))
	}
	value := math.Float64frombits(w[0])
	switch {
	case s.Type == metric.Counter:
		a.ints, a.hi = w[0], w[1]
	case s.Type == metric.Summary:
		a.ints = w[0]
	case s.Type == metric.Histogram:
		a.counts = w[:fixed:fixed]
	case s.Type == metric.Info:
		a.newest = int64(w[0])
	case s.Type == metric.StateSet:
		a.state = w[0]
	case summed(s):
		a.set = w[0]&sumSet != 0
		if w[0]&sumSpecial != 0 {
			a.sum.odd, a.sum.special = true, math.Float64frombits(w[1])
		}
	case w[0] != mpm.UnsetBits:
		a.value, a.set = value, true
	}
	return a, nil
}

func (rs recents) pack() (w []uint64) {
	for _, r := range rs {
		w = append(w, math.Float64bits(r.value), uint64(r.nanos))
	}
	return w
}

// unpackRecents is the reverse of pack. It appends to rs.
func unpackRecents(rs recents, w []uint64) (recents, error) {
	last := int64(0)
	for ; len(w) >= 2; w = w[2:] {
		r := recentOf(w)
		if r.nanos <= last {
			return nil, errUnpack
		}
		rs, last = append(rs, r), r.nanos
	}
	if len(w) > 0 {
		return nil, errUnpack
	}
	return rs, nil
}
