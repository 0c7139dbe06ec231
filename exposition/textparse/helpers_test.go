package textparse

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// requireValid checks what package metric guarantees of families.
func requireValid(t testing.TB, families []*metric.Family) {
	t.Helper()
	for _, f := range families {
		require.NotEmpty(t, f.Name)
		require.True(t, utf8.ValidString(f.Name), "%q", f.Name)
		require.True(t, utf8.ValidString(f.Help), "%q", f.Help)
		require.True(t, f.Type.Valid())
		require.True(t, f.Unit == "" || strings.HasSuffix(f.Name, "_"+f.Unit), "%q %q", f.Name, f.Unit)
		for i := range f.Series {
			s := &f.Series[i]
			if i > 0 {
				require.Negative(t, f.Series[i-1].Labels.Compare(s.Labels), "%s", f.Name)
			}
			requireValidLabels(t, s.Labels)
			requireValidSeries(t, f, s)
		}
	}
}

func requireValidLabels(t testing.TB, ls metric.Labels) {
	t.Helper()
	for i, l := range ls {
		require.NotEmpty(t, l.Name)
		require.True(t, utf8.ValidString(l.Name+l.Value), "%q", l)
		require.True(t, i == 0 || ls[i-1].Name < l.Name, "%v", ls)
	}
}

func requireValidSeries(t testing.TB, f *metric.Family, s *metric.Series) {
	t.Helper()
	switch f.Type {
	case metric.Histogram, metric.GaugeHistogram:
		if s.Native != nil {
			require.NoError(t, histogram.Check(s.Native, s.Count, s.Sum))
		}
		last := len(s.Buckets) - 1
		require.GreaterOrEqual(t, last, 0)
		require.True(t, math.IsInf(s.Buckets[last].UpperBound, 1))
		require.Equal(t, s.Buckets[last].Count, s.Count)
		for i := range last {
			require.Less(t, s.Buckets[i].UpperBound, s.Buckets[i+1].UpperBound)
			require.LessOrEqual(t, s.Buckets[i].Count, s.Buckets[i+1].Count)
		}
	case metric.Summary:
		require.True(t, slices.IsSortedFunc(s.Quantiles, func(a, b metric.Quantile) int {
			if a.Q < b.Q {
				return -1
			}
			return 1
		}), "%v", s.Quantiles)
	case metric.Info:
		require.Equal(t, 1.0, s.Value)
	case metric.StateSet:
		require.NotEmpty(t, s.States)
	}
	for i := range s.Buckets {
		if e := s.Buckets[i].Exemplar; e != nil {
			requireValidLabels(t, e.Labels)
			require.LessOrEqual(t, e.Value, s.Buckets[i].UpperBound)
		}
	}
}

// canonical returns families in one form, without the differences that a text cannot
// express: NaNs become one string, times UTC.
func canonical(families []*metric.Family) []string {
	var out []string
	for _, f := range families {
		if len(f.Series) == 0 {
			continue // no encoder writes it
		}
		out = append(out, strings.Join([]string{f.Type.String(), f.Name, f.Unit, f.Help}, "|"))
		for i := range f.Series {
			s := &f.Series[i]
			if !s.Created.IsZero() {
				out = append(out, f.Name+"_created"+s.Labels.String()+" "+s.Created.UTC().String())
			}
			if h := s.Native; h != nil {
				out = append(out, fmt.Sprint(f.Name, s.Labels, " native ", h.Schema, h.ZeroThreshold, h.ZeroCount, h.Positive, h.Negative))
				for _, x := range h.Exemplars {
					out = append(out, fmt.Sprint(x.Labels, form.FormatFloat(x.Value), x.Timestamp.UTC()))
				}
			}
			one := metric.Family{Name: f.Name, Type: f.Type, Series: f.Series[i : i+1]}
			for sample := range one.Samples() {
				line := sample.Name + sample.Labels.String() + " " + form.FormatFloat(sample.Value)
				if !sample.Timestamp.IsZero() {
					line += " " + sample.Timestamp.UTC().String()
				}
				if e := sample.Exemplar; e != nil {
					line += " # " + e.Labels.String() + " " + form.FormatFloat(e.Value)
					if !e.Timestamp.IsZero() {
						line += " " + e.Timestamp.UTC().String()
					}
				}
				out = append(out, line)
			}
		}
	}
	return out
}
