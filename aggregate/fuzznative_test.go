package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// nativeGiven is what one process has observed in one series with native buckets.
type nativeGiven struct {
	schema *metric.Schema
	label  string
	values []float64
}

// nativeName is the family of all that is observed. Its declarations differ in everything that
// is no conflict.
const nativeName = "native"

// randomNatives adds the family to a process, and observes values whose sums are exact.
func randomNatives(t *testing.T, r *rand.Rand, p *process) (all []nativeGiven) {
	schema := nativeSchema(r, nativeName, [][]float64{{1, 2}, {1, 100}, {-2, 0, 1}}[r.IntN(3)]...)
	schema.Native.MaxExemplars = 0
	f, err := p.AddSchema(schema)
	require.NoError(t, err)
	for n := range 1 + r.IntN(3) {
		s, err := p.AddSeries(f, []string{strconv.Itoa(n)}, nil)
		require.NoError(t, err)
		one, instrument := nativeGiven{schema: schema, label: strconv.Itoa(n)}, newRecorded(s, schema)
		for range r.IntN(60) {
			x := float64(r.IntN(2000)-200) / 64
			if r.IntN(8) == 0 {
				x = math.Ldexp(float64(1-2*r.IntN(2)), r.IntN(30)-10)
			}
			instrument.observe(x)
			one.values = append(one.values, x)
		}
		all = append(all, one)
	}
	return all
}

// referenceNatives counts all values one by one, as one process that has seen all would.
func referenceNatives(all []nativeGiven) (lines []string) {
	bounds, labels := []float64{math.Inf(1)}, []string{}
	for _, o := range all {
		bounds, labels = append(bounds, o.schema.Bounds...), append(labels, o.label)
	}
	slices.Sort(bounds)
	slices.Sort(labels)
	bounds, labels = slices.Compact(bounds), slices.Compact(labels)
	for _, label := range labels {
		s := metric.Series{Native: &metric.NativeHistogram{}}
		var total histogram.Total
		for _, le := range bounds {
			s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: le})
		}
		for _, o := range all {
			if o.label == label {
				o.addTo(&total, &s)
			}
		}
		total.Fit()
		s.Count, _ = total.Show(s.Native, false)
		lines = append(lines, linesOfObserved(label, &s)...)
	}
	return lines
}

// addTo counts the values in native buckets and in the classic ones that the process has.
func (o *nativeGiven) addTo(total *histogram.Total, s *metric.Series) {
	d := histogram.DefinitionOf(o.schema.Native)
	total.Define(d)
	for _, x := range o.values {
		s.Sum += x
		if math.Abs(x) <= d.Threshold {
			total.Zero++
		} else {
			total.Add(d.Schema, math.Signbit(x), histogram.Of(d.Schema).Index(x), 1)
		}
		own := math.Inf(1)
		if i, _ := slices.BinarySearch(o.schema.Bounds, x); i < len(o.schema.Bounds) {
			own = o.schema.Bounds[i]
		}
		for i := range s.Buckets {
			if own <= s.Buckets[i].UpperBound {
				s.Buckets[i].Count++
			}
		}
	}
}

// linesOfObserved returns a series in the form of a test.
func linesOfObserved(label string, s *metric.Series) []string {
	return append([]string{fmt.Sprintf("%s: %d %v %v", label, s.Count, s.Sum, s.Buckets)}, linesOfNative(s)...)
}

// withoutNatives takes the family out of a view, and returns it in the form of a test.
func withoutNatives(families []*metric.Family) (rest []*metric.Family, lines []string) {
	for _, f := range families {
		if f.Name != nativeName {
			rest = append(rest, f)
			continue
		}
		series := slices.Clone(f.Series)
		slices.SortFunc(series, func(a, b metric.Series) int { return slices.Compare(labelValues(a), labelValues(b)) })
		for i := range series {
			lines = append(lines, linesOfObserved(series[i].Labels[0].Value, &series[i])...)
		}
	}
	return rest, lines
}

func labelValues(s metric.Series) (out []string) {
	for _, l := range s.Labels {
		out = append(out, l.Value)
	}
	return out
}
