package registry

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// checked returns f with its labels and series in order: f itself if they are, or else a
// copy, since the collector may keep f. The error matches metric.ErrInvalid; it says that
// f cannot be written as valid exposition.
func checked(f *metric.Family) (*metric.Family, error) {
	if err := checkFamily(f); err != nil {
		return nil, err
	}
	f = ordered(f)
	for i := range f.Series {
		s := &f.Series[i]
		err := checkSeries(f, s)
		if err == nil && i > 0 && s.Labels.Equal(f.Series[i-1].Labels) {
			err = errors.New("two series have these labels")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s %q%s: %w", errInvalidFamily, f.Type, f.Name, s.Labels, err)
		}
	}
	return f, nil
}

// checkFamily checks all of f but its series. A description has no more than that.
func checkFamily(f *metric.Family) error {
	if f == nil {
		return fmt.Errorf("%w: it is nil", errInvalidFamily)
	}
	if err := form.CheckName(f.Name); err != nil {
		return fmt.Errorf("%w: %w", errInvalidFamily, err)
	}
	var err error
	switch {
	case !f.Type.Valid():
		err = errors.New("unknown type")
	case !utf8.ValidString(f.Help):
		err = errors.New("its help is not UTF-8")
	case f.Type == metric.Counter && strings.HasSuffix(f.Name, "_total"),
		f.Type == metric.Info && strings.HasSuffix(f.Name, "_info"):
		err = errors.New("a family's name goes without _total and _info, its samples get them")
	case f.Unit != "" && (f.Type == metric.Info || f.Type == metric.StateSet):
		err = errors.New("this type has no unit")
	case f.Unit != "" && !strings.HasSuffix(f.Name, "_"+f.Unit):
		err = fmt.Errorf("its name does not end in its unit %q", f.Unit)
	}
	if err != nil {
		return fmt.Errorf("%w: %s %q: %w", errInvalidFamily, f.Type, f.Name, err)
	}
	return nil
}

func checkSeries(f *metric.Family, s *metric.Series) error {
	if err := checkLabels(f, s.Labels); err != nil {
		return err
	}
	switch f.Type {
	case metric.Histogram:
		return errors.Join(checkBuckets(s), checkNative(s))
	case metric.GaugeHistogram:
		if s.Native != nil {
			return errors.New("a gauge histogram has no native buckets")
		}
		return checkBuckets(s)
	case metric.Summary:
		return checkQuantiles(s.Quantiles)
	case metric.StateSet:
		return checkStates(s.States)
	}
	return nil
}

func checkLabels(f *metric.Family, ls metric.Labels) error {
	for i, l := range ls {
		if err := form.CheckLabelName(l.Name); err != nil {
			return err
		}
		switch {
		case i > 0 && l.Name == ls[i-1].Name:
			return fmt.Errorf("%w: %q is given twice", form.ErrLabel, l.Name)
		case l.Name == f.Type.ReservedLabel(f.Name):
			return fmt.Errorf("%w: %q is what a %s writes itself", form.ErrReserved, l.Name, f.Type)
		case !utf8.ValidString(l.Value):
			return fmt.Errorf("%w: the value of %q is not UTF-8", form.ErrLabel, l.Name)
		}
	}
	return nil
}

func checkBuckets(s *metric.Series) error {
	last := len(s.Buckets) - 1
	if last < 0 || !math.IsInf(s.Buckets[last].UpperBound, 1) {
		return errors.New("the last bucket is not that of +Inf")
	}
	if s.Buckets[last].Count != s.Count {
		return fmt.Errorf("its count is %d, but %d in the last bucket", s.Count, s.Buckets[last].Count)
	}
	for i, b := range s.Buckets {
		switch {
		case math.IsNaN(b.UpperBound):
			return errors.New("a bucket bound is NaN")
		case i > 0 && b.UpperBound <= s.Buckets[i-1].UpperBound:
			return fmt.Errorf("bucket bounds must ascend: %v follows %v", b.UpperBound, s.Buckets[i-1].UpperBound)
		case i > 0 && b.Count < s.Buckets[i-1].Count:
			return fmt.Errorf("buckets must be cumulative: %d follows %d", b.Count, s.Buckets[i-1].Count)
		}
	}
	return nil
}

func checkNative(s *metric.Series) error {
	switch {
	case s.Native == nil:
		return nil
	case s.NoSum:
		return errors.New("a native histogram needs a sum") // receivers take none for 0
	case slices.Contains(s.Native.Exemplars, nil):
		return errors.New("an exemplar of its native buckets is nil")
	}
	return histogram.Check(s.Native, s.Count, s.Sum)
}

func checkQuantiles(qs []metric.Quantile) error {
	for i, q := range qs {
		switch {
		case !(q.Q >= 0 && q.Q <= 1): // not q.Q < 0 || q.Q > 1: NaN is neither
			return fmt.Errorf("quantile %v is not between 0 and 1", q.Q)
		case i > 0 && q.Q <= qs[i-1].Q:
			return fmt.Errorf("quantiles must ascend: %v follows %v", q.Q, qs[i-1].Q)
		}
	}
	return nil
}

func checkStates(states []metric.State) error {
	for i, st := range states {
		if !utf8.ValidString(st.Name) {
			return fmt.Errorf("state %q is not UTF-8", st.Name)
		}
		if slices.ContainsFunc(states[:i], func(o metric.State) bool { return o.Name == st.Name }) {
			return fmt.Errorf("state %q is given twice", st.Name)
		}
	}
	return nil
}

// ordered returns f, or a copy of it if labels or series need sorting.
func ordered(f *metric.Family) *metric.Family {
	byName := func(a, b metric.Label) int { return strings.Compare(a.Name, b.Name) }
	unsorted := slices.ContainsFunc(f.Series, func(s metric.Series) bool { return !slices.IsSortedFunc(s.Labels, byName) })
	if !unsorted && slices.IsSortedFunc(f.Series, compareSeries) {
		return f
	}
	sorted := *f
	sorted.Series = slices.Clone(f.Series)
	if unsorted {
		for i := range sorted.Series {
			sorted.Series[i].Labels = slices.Clone(sorted.Series[i].Labels)
			sorted.Series[i].Labels.Sort()
		}
	}
	sortSeries(sorted.Series)
	return &sorted
}

func sortSeries(series []metric.Series) { slices.SortStableFunc(series, compareSeries) }

func compareSeries(a, b metric.Series) int { return a.Labels.Compare(b.Labels) }
