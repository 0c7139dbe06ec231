package metric

import (
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/form"
)

// Family is all series of one name, type and help.
type Family struct {
	Name string // without _total and _info; see the package comment
	Help string
	Unit string // the last part of Name, or empty
	Type Type

	// Series are sorted by their labels, each label set at most once.
	Series []Series
}

// Series is one label set of a family with its current value. Which fields
// count depends on the family's type.
type Series struct {
	Labels Labels

	// Value of a counter, gauge or unknown. An info's is 1.
	Value float64

	// Count and Sum of a histogram, gauge histogram or summary. A histogram's count
	// equals that of its last bucket. NoSum says that the sum is not known, as of a
	// custom collector that has none.
	Count uint64
	Sum   float64
	NoSum bool

	// Buckets of a histogram: cumulative, ascending, the last bound +Inf. One that has only
	// native buckets has no other bound.
	Buckets []Bucket
	// Native has the native buckets of a histogram, of the same observations. It is nil if
	// there are none.
	Native *NativeHistogram
	// Quantiles of a summary, from custom collectors only.
	Quantiles []Quantile
	// States of a state set, in the order of their declaration.
	States []State

	// Created is when the series began, zero when unknown: counter, histogram
	// and summary only.
	Created time.Time
	// Timestamp is zero unless a custom collector sets it.
	Timestamp time.Time
	// Exemplar of a counter, or nil.
	Exemplar *Exemplar
}

// Bucket counts the observations at most UpperBound.
type Bucket struct {
	UpperBound float64
	Count      uint64 // cumulative
	Exemplar   *Exemplar
}

// Quantile is a summary's value at q.
type Quantile struct{ Q, Value float64 }

// State is one state of a state set.
type State struct {
	Name string
	On   bool
}

// Sample is one line of an exposition: a name, labels and a value.
type Sample struct {
	Name      string
	Labels    Labels
	Value     float64
	Timestamp time.Time
	Exemplar  *Exemplar
}

// Samples yields the samples of f in the order of the text formats, without _created.
func (f *Family) Samples() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for i := range f.Series {
			if !f.Series[i].samples(f, yield) {
				return
			}
		}
	}
}

func (s *Series) samples(f *Family, yield func(Sample) bool) bool {
	emit := func(suffix string, ls Labels, v float64, e *Exemplar) bool {
		return yield(Sample{Name: f.Name + suffix, Labels: ls, Value: v, Timestamp: s.Timestamp, Exemplar: e})
	}
	switch f.Type {
	case Counter:
		return emit("_total", s.Labels, s.Value, s.Exemplar)
	case Info:
		return emit("_info", s.Labels, 1, nil)
	case StateSet:
		for _, st := range s.States {
			v := 0.0
			if st.On {
				v = 1
			}
			if !emit("", s.Labels.With(f.Name, st.Name), v, nil) {
				return false
			}
		}
		return true
	case Histogram, GaugeHistogram:
		for _, b := range s.Buckets {
			if !emit("_bucket", s.Labels.With("le", string(form.AppendBound(nil, b.UpperBound))), float64(b.Count), b.Exemplar) {
				return false
			}
		}
		count, sum := "_count", "_sum"
		if f.Type == GaugeHistogram {
			count, sum = "_gcount", "_gsum"
		}
		if !s.NoSum && !emit(sum, s.Labels, s.Sum, nil) {
			return false
		}
		return emit(count, s.Labels, float64(s.Count), nil)
	case Summary:
		for _, q := range s.Quantiles {
			if !emit("", s.Labels.With("quantile", string(form.AppendBound(nil, q.Q))), q.Value, nil) {
				return false
			}
		}
		if !s.NoSum && !emit("_sum", s.Labels, s.Sum, nil) {
			return false
		}
		return emit("_count", s.Labels, float64(s.Count), nil)
	default:
		return emit("", s.Labels, s.Value, s.Exemplar)
	}
}

// Cumulate turns counts per bucket into cumulative buckets over the bounds.
// counts has one element more than bounds: the observations above the last. Counts that
// come to more than 2^64-1, as damaged ones can, make that of all further buckets.
func Cumulate(bounds []float64, counts []uint64) []Bucket {
	out := make([]Bucket, len(counts))
	var sum uint64
	for i, c := range counts {
		if sum += c; sum < c {
			sum = math.MaxUint64
		}
		le := math.Inf(1)
		if i < len(bounds) {
			le = bounds[i]
		}
		out[i] = Bucket{UpperBound: le, Count: sum}
	}
	return out
}

// SortFamilies sorts families by name, and each one's series by labels.
func SortFamilies(fs []*Family) {
	slices.SortFunc(fs, func(a, b *Family) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range fs {
		slices.SortFunc(f.Series, func(a, b Series) int { return a.Labels.Compare(b.Labels) })
	}
}
