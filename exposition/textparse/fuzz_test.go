package textparse

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

// ourOwn are the reasons for which only this parser rejects an input. expfmt does not
// keep lines apart, and skips what makes no sense.
var ourOwn = []string{
	"must be together", "is taken by", "came before", "twice", "different timestamps",
	"have a timestamp and others have none", "after samples", "not a count",
	"has no samples of this name", "is missing", "does not belong", "two buckets", "not cumulative",
	"ends within a line", "count is not that", "to compare with", "not a type", "is not UTF-8",
	"metric name should", "name in quotes should", "a blank should", // expfmt takes HELP without name, quotes within names, names after labels
	"a blank and the value should", "a metric name cannot begin so", "closing quote", "equals sign", "comma", "label name should",
}

// theirOwn are the reasons for which only expfmt rejects an input.
var theirOwn = []string{
	"invalid escape sequence", "unknown metric type", "second HELP", "second TYPE", "unexpected end of input",
	"invalid metric name", "unexpected end of metric name", "spurious string after timestamp", `timestamp, got ""`, // with blanks at the end
}

func containsAny(s string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

func seeds(f *testing.F, write func([]*metric.Family) string) {
	f.Add("a 1\n")
	f.Add("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1 # {a=\"b\"} 1 2\na_sum 1\na_count 1\n# EOF\n")
	f.Add("# HELP \"a b\" c\\n\n{\"a b\",\"c d\"=\"e\\\\\"} NaN 5\n")
	for seed := range uint64(20) {
		source := randfamily.New(seed)
		f.Add(write(forOpenMetrics(source.Families(false))))
	}
}

// FuzzText checks that accepted text is valid, survives being written again, and is
// accepted by expfmt, and that expfmt also rejects what is rejected, except for the
// reasons above.
func FuzzText(f *testing.F) {
	seeds(f, func(families []*metric.Family) string {
		text, err := exposition.Append(nil, families, quoted)
		require.NoError(f, err)
		return string(text)
	})
	f.Fuzz(func(t *testing.T, input string) {
		families, err := Parse(strings.NewReader(input), Options{})
		oracle := expfmt.NewTextParser(model.UTF8Validation)
		_, theirs := oracle.TextToMetricFamilies(strings.NewReader(input))
		if err != nil {
			var e *Error
			require.ErrorAs(t, err, &e)
			require.True(t, theirs != nil || containsAny(e.Reason, ourOwn), "expfmt accepts what is rejected here: %v", err)
			return
		}
		require.True(t, theirs == nil || containsAny(theirs.Error(), theirOwn), "accepted, but not by expfmt: %v", theirs)
		requireValid(t, families)

		text, err := exposition.Append(nil, families, quoted)
		require.NoError(t, err)
		again, err := Parse(bytes.NewReader(text), Options{})
		require.NoError(t, err, "%s", text)
		for _, f := range families {
			f.Help = help(f.Help)
		}
		require.Equal(t, canonical(families), canonical(again), "%s", text)
	})
}

// FuzzOpenMetrics checks that accepted input is valid and survives being written as
// OpenMetrics and, with its losses, as text.
func FuzzOpenMetrics(f *testing.F) {
	seeds(f, writeOpenMetrics)
	f.Fuzz(func(t *testing.T, input string) {
		families, err := Parse(strings.NewReader(input), Options{Format: OpenMetrics})
		if err != nil {
			return
		}
		requireValid(t, families)
		again, err := Parse(strings.NewReader(writeOpenMetrics(families)), Options{Format: OpenMetrics})
		require.NoError(t, err)
		require.Equal(t, canonical(families), canonical(again))
		if _, err := exposition.Append(nil, families, openMetrics); err == nil {
			requireOpenMetricsRoundTrip(t, families, openMetrics)
		}

		text, err := exposition.Append(nil, families, quoted)
		var omission *exposition.OmissionError
		if errors.As(err, &omission) {
			return // names that only text has, such as x_info and a gauge of that name
		}
		require.NoError(t, err)
		_, err = Parse(bytes.NewReader(text), Options{})
		require.NoError(t, err, "%s", text)
	})
}

// If both accept an input, every sample is the same to expfmt.
func TestSamplesAsExpfmt(t *testing.T) {
	for seed := range rounds() {
		text, err := exposition.Append(nil, randfamily.New(seed).Families(true), quoted)
		require.NoError(t, err)
		ours, err := Parse(bytes.NewReader(text), Options{})
		require.NoError(t, err)
		oracle := expfmt.NewTextParser(model.UTF8Validation)
		theirs, err := oracle.TextToMetricFamilies(bytes.NewReader(text))
		require.NoError(t, err)

		samples := 0
		for _, f := range ours {
			name := f.Name
			if f.Type == metric.Counter {
				name += "_total"
			}
			family := theirs[name]
			require.NotNil(t, family, "%q", name)
			require.Equal(t, family.GetHelp(), f.Help)
			require.Len(t, family.Metric, len(f.Series))
			for _, s := range f.Series {
				for _, m := range family.Metric {
					labels := metric.Labels{}
					for _, l := range m.Label {
						labels = append(labels, metric.Label{Name: l.GetName(), Value: l.GetValue()})
					}
					labels.Sort()
					if labels.Compare(s.Labels) != 0 {
						continue
					}
					samples++
					value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
					require.True(t, value == s.Value || math.IsNaN(value) && math.IsNaN(s.Value), "%q", name)
					require.Equal(t, m.GetSummary().GetSampleCount()+m.GetHistogram().GetSampleCount() > 0,
						s.Count > 0 && (f.Type == metric.Summary || m.GetHistogram().SampleCount != nil))
				}
			}
			samples -= len(f.Series)
		}
		require.Zero(t, samples, "series that only one has")
	}
}
