package textparse

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

var openMetrics2 = exposition.Options{
	ContentType: exposition.ContentType{Format: exposition.OpenMetrics200, Escaping: exposition.AllowUTF8},
	Created:     true,
}

// inOpenMetrics2 returns what is left of families after a round trip through OpenMetrics 2.0,
// as the package comments of exposition and textparse say.
func inOpenMetrics2(families []*metric.Family) []*metric.Family {
	shown := func(x *metric.Exemplar) bool { return x != nil && !x.Timestamp.IsZero() }
	var out []*metric.Family
	for _, f := range families {
		left := *f
		left.Help = strings.TrimRight(f.Help, "\r")
		left.Series = nil
		for _, s := range f.Series {
			if !shown(s.Exemplar) {
				s.Exemplar = nil
			}
			switch f.Type {
			case metric.Counter:
				if !(s.Value >= 0) {
					continue
				}
			case metric.Histogram, metric.GaugeHistogram:
				if s.NoSum {
					s.Sum, s.NoSum = math.NaN(), false
				}
				if f.Type == metric.GaugeHistogram {
					s.Created, s.Native = time.Time{}, nil
				}
				spread2(&s, shown)
			case metric.Summary:
				if s.NoSum || !(s.Sum >= 0) {
					continue
				}
				s.Quantiles = slices.DeleteFunc(slices.Clone(s.Quantiles), func(q metric.Quantile) bool { return q.Value < 0 })
			default:
				s.Created = time.Time{}
			}
			left.Series = append(left.Series, s)
		}
		out = append(out, &left)
	}
	return out
}

// spread2 gives the exemplars of a line to the buckets again.
func spread2(s *metric.Series, shown func(*metric.Exemplar) bool) {
	var all []*metric.Exemplar
	s.Buckets = slices.Clone(s.Buckets)
	for i := range s.Buckets {
		if x := s.Buckets[i].Exemplar; shown(x) && x.Value <= s.Buckets[i].UpperBound {
			all = append(all, x)
		}
		s.Buckets[i].Exemplar = nil
	}
	if s.Native != nil {
		for _, x := range s.Native.Exemplars {
			if shown(x) && !slices.ContainsFunc(all, func(y *metric.Exemplar) bool { return x.Compare(y) == 0 }) {
				all = append(all, x)
			}
		}
		h := *s.Native
		h.Exemplars = slices.SortedFunc(slices.Values(all), (*metric.Exemplar).Compare)
		s.Native = &h
	}
	for _, x := range all {
		in := slices.IndexFunc(s.Buckets, func(b metric.Bucket) bool { return x.Value <= b.UpperBound })
		if in >= 0 && s.Buckets[in].Exemplar == nil {
			s.Buckets[in].Exemplar = x
		}
	}
}

func requireOpenMetrics2RoundTrip(t testing.TB, families []*metric.Family) {
	t.Helper()
	text, err := exposition.Append(nil, families, openMetrics2)
	if omission := (*exposition.OmissionError)(nil); errors.As(err, &omission) {
		require.Empty(t, omission.Names)
		require.Zero(t, omission.Series)
		require.NotZero(t, omission.Values)
		err = nil
	}
	require.NoError(t, err)
	parsed, err := Parse(bytes.NewReader(text), Options{Format: OpenMetrics2})
	require.NoError(t, err, "%s", text)
	requireValid(t, parsed)
	require.Equal(t, canonical(inOpenMetrics2(families)), canonical(parsed), "%s", text)
}

func TestOpenMetrics2RoundTrip(t *testing.T) {
	natives := 0
	for seed := range rounds() {
		families := randfamily.New(seed).Families(seed%2 == 0)
		requireOpenMetrics2RoundTrip(t, families)
		for _, f := range families {
			for _, s := range f.Series {
				if s.Native != nil {
					natives++
				}
			}
		}
	}
	require.Greater(t, natives, 20)
}

// FuzzOpenMetrics2 checks that accepted input is valid and survives being written.
func FuzzOpenMetrics2(f *testing.F) {
	for _, tt := range openMetrics2Accepted {
		f.Add(tt.input + "# EOF\n")
	}
	for seed := range uint64(20) {
		text, _ := exposition.Append(nil, randfamily.New(seed).Families(true), openMetrics2)
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, input string) {
		families, err := Parse(strings.NewReader(input), Options{Format: OpenMetrics2})
		if err != nil {
			return
		}
		requireValid(t, families)
		for _, f := range families {
			for _, s := range f.Series {
				if s.Count > 1<<53 {
					return // native buckets are then left out
				}
				if s.Exemplar != nil && openmetrics.CheckExemplar(s.Exemplar.Labels) != nil {
					return
				}
				for _, b := range s.Buckets {
					if b.Exemplar != nil && openmetrics.CheckExemplar(b.Exemplar.Labels) != nil {
						return
					}
				}
				if s.Native != nil && slices.ContainsFunc(s.Native.Exemplars, func(x *metric.Exemplar) bool { return openmetrics.CheckExemplar(x.Labels) != nil }) {
					return
				}
			}
		}
		if _, err := exposition.Append(nil, families, openMetrics2); err == nil {
			requireOpenMetrics2RoundTrip(t, families)
		}
	})
}

func TestOpenMetrics2Rejected(t *testing.T) {
	const (
		h      = "# TYPE a histogram\na "
		head   = "{count:3,sum:6,schema:0,zero_threshold:0,zero_count:1"
		line   = 2
		column = 3 // of the value
	)
	at := func(text string) int { return column + len(text) }
	for _, r := range []rejection{
		{"a 1\n", 2, 1, "without # EOF"},
		{"# TYPE a info\na 1\n# EOF\n", 1, 8, "does not end in _info"},
		{"# TYPE a_info info\n# UNIT a_info s\n# EOF\n", 2, 15, "has a unit"},
		{"a {count:1,sum:1,bucket:[+Inf:1]}\n# EOF\n", 1, 3, "not a number"},
		{"a 1 st@1\n# EOF\n", 1, 8, "only counters, histograms"},
		{"# TYPE a counter\na 1 st@1 2\n# EOF\n", 2, 10, "an exemplar"},
		{"# TYPE a counter\na 1 st@\n# EOF\n", 2, 8, "a start time"},
		{"# TYPE a counter\na 1 st@x\n# EOF\n", 2, 8, "time in seconds"},
		{"# TYPE a counter\na 1 # {} 1\n# EOF\n", 2, 11, "the exemplar's timestamp"},
		{"# TYPE a counter\na 1 # {} 1 2 # {} x 2\n# EOF\n", 2, 19, "not a number"},
		{"# TYPE a counter\na 1\na_total 1\na 2\n# EOF\n", 4, 1, "must be together"},
		{"# TYPE a summary\na {count:1,sum:-1,quantile:[]}\n# EOF\n", line, at("{count:1,sum:"), "negative"},
		{"# TYPE a summary\na {count:1,sum:1}\n# EOF\n", line, at("{count:1,sum:1"), "quantile"},
		{"# TYPE a summary\na {count:1,sum:1,quantile:[2:1]}\n# EOF\n", line, at("{count:1,sum:1,quantile:["), "between 0 and 1"},
		{"# TYPE a summary\na {count:1,sum:1,quantile:[1:1,0:1]}\n# EOF\n", line, at("{count:1,sum:1,quantile:[1:1,"), "ascend"},
		{"# TYPE a summary\na {count:1,sum:1,quantile:[]} # {} 1 1\n# EOF\n", line, at("{count:1,sum:1,quantile:[]} "), "exemplar"},
		{h + "1\n# EOF\n", line, column, "composite"},
		{h + "{sum:6,count:3,bucket:[+Inf:3]}\n# EOF\n", line, at("{"), "count:"},
		{h + "{count:1.5,sum:6,bucket:[+Inf:3]}\n# EOF\n", line, at("{count:"), "not a count"},
		{h + "{count:3, sum:6,bucket:[+Inf:3]}\n# EOF\n", line, at("{count:3, "), "an exemplar"},
		{h + "{count:3,sum:6}\n# EOF\n", line, at("{count:3,sum:6"), "bucket"},
		{h + "{count:3,sum:6,bucket:[]}\n# EOF\n", line, at("{count:3,sum:6,bucket:"), "no bucket +Inf"},
		{h + "{count:3,sum:6,bucket:[1:1,+Inf:4]}\n# EOF\n", line, at("{count:3,sum:6,bucket:"), "count is not"},
		{h + "{count:3,sum:6,bucket:[1:4,+Inf:3]}\n# EOF\n", line, at("{count:3,sum:6,bucket:[1:4,+Inf:"), "cumulative"},
		{h + "{count:3,sum:6,bucket:[1:1,1:1,+Inf:3]}\n# EOF\n", line, at("{count:3,sum:6,bucket:[1:1,"), "ascend"},
		{h + "{count:3,sum:6,bucket:[inf:3]}\n# EOF\n", line, at("{count:3,sum:6,bucket:["), "not a bound"},
		{h + "{count:3,sum:6,bucket:[+Inf:3,]}\n# EOF\n", line, at("{count:3,sum:6,bucket:[+Inf:3,"), "a number"},
		{h + "{count:3,sum:6,bucket:[+Inf:3]}}\n# EOF\n", line, at("{count:3,sum:6,bucket:[+Inf:3]}"), "a blank"},
		{"# TYPE a histogram\na{le=\"1\"} {count:3,sum:6,bucket:[+Inf:3]}\n# EOF\n", 2, 3, "does not belong"},
		{h + "{count:3,sum:6,schema:9,zero_threshold:0,zero_count:3}\n# EOF\n", line, at("{count:3,sum:6"), "schema 9"},
		{h + "{count:3,sum:6,schema:x,zero_threshold:0,zero_count:3}\n# EOF\n", line, at("{count:3,sum:6,schema:"), "not a schema"},
		{h + "{count:3,sum:6,schema:0,zero_count:3}\n# EOF\n", line, at("{count:3,sum:6,schema:0"), "zero_threshold"},
		{h + "{count:3,sum:6,schema:0,zero_threshold:NaN,zero_count:3}\n# EOF\n", line, at("{count:3,sum:6"), "threshold"},
		{h + head + "}\n# EOF\n", line, at("{count:3,sum:6"), "its count is 3, but 1"},
		{h + head + ",positive_spans:[0:2]}\n# EOF\n", line, at(head + ",positive_spans:[0:2]"), "positive_buckets"},
		{h + head + ",positive_spans:[0:2],positive_buckets:[2]}\n# EOF\n", line, at(head + ",positive_spans:"), "1 buckets, but 2"},
		{h + head + ",positive_spans:[0:4000000000],positive_buckets:[2]}\n# EOF\n", line, at(head + ",positive_spans:[0:"), "cannot have"},
		{h + head + ",positive_spans:[0:1,-1:1],positive_buckets:[1,1]}\n# EOF\n", line, at(head + ",positive_spans:[0:1,"), "offset"},
		{h + head + ",positive_spans:[0:1],positive_buckets:[2],negative_spans:[0:1],negative_buckets:[0]}\n# EOF\n", line, at(head + ",positive_spans:[0:1],positive_buckets:[2]"), "closing brace"},
	} {
		r.check(t, Options{Format: OpenMetrics2})
	}
}

var openMetrics2Accepted = []struct{ input, want string }{
	{"", ""},
	{"{\"a b\",\"c d\"=\"e\"} 1\n", "unknown|a b||\na b{\"c d\"=\"e\"} 1"},
	{"# TYPE a_s_total counter\n# UNIT a_s_total s\na_s_total 1 2 st@1.5 # {x=\"y\"} 1 2 # {} 2 3\n",
		"counter|a_s|s|\na_s_created 1970-01-01 00:00:01.5 +0000 UTC\na_s_total 1 1970-01-01 00:00:02 +0000 UTC # {x=\"y\"} 1 1970-01-01 00:00:02 +0000 UTC"},
	{"# TYPE a counter\n# UNIT a s\na 1 st@1\n", "unknown|a||\na 1"},
	{"# TYPE a_info info\na_info{b=\"c\"} 1\n", "info|a||\na_info{b=\"c\"} 1"},
	{"# TYPE a summary\na {count:1,sum:2,quantile:[0.5:NaN,1:3]} st@1\n",
		"summary|a||\na_created 1970-01-01 00:00:01 +0000 UTC\na{quantile=\"0.5\"} NaN\na{quantile=\"1\"} 3\na_sum 2\na_count 1"},
	{"# TYPE a histogram\na {count:17,sum:-1.5,bucket:[-1.0:0,1e+06:15,+Inf:17]} # {} 1 2 # {} 2 3 # {} NaN 4\n",
		"histogram|a||\na_bucket{le=\"-1\"} 0\na_bucket{le=\"1e+06\"} 15 #  1 1970-01-01 00:00:02 +0000 UTC\na_bucket{le=\"+Inf\"} 17\na_sum -1.5\na_count 17"},
	{"# TYPE a histogram\na {count:3,sum:NaN,schema:-4,zero_threshold:1e-4,zero_count:1,negative_spans:[],negative_buckets:[],positive_spans:[-1:0,3:1],positive_buckets:[1]} # {} 9 2\n",
		"histogram|a||\na native -4 0.0001 1 [{2 [1]}] []\n91970-01-01 00:00:02 +0000 UTC\na_bucket{le=\"+Inf\"} 3 #  9 1970-01-01 00:00:02 +0000 UTC\na_sum NaN\na_count 3"},
	{"# TYPE a histogram\na {count:3,sum:1,schema:3,zero_threshold:0,zero_count:0,positive_spans:[1:2],positive_buckets:[1,2],bucket:[1:0,+Inf:3]}\n",
		"histogram|a||\na native 3 0 0 [{1 [1 2]}] []\na_bucket{le=\"1\"} 0\na_bucket{le=\"+Inf\"} 3\na_sum 1\na_count 3"},
	{"# TYPE a gaugehistogram\na {gcount:3,gsum:1,schema:3,zero_threshold:0,zero_count:3}\n",
		"gaugehistogram|a||\na_bucket{le=\"+Inf\"} 3\na_gsum 1\na_gcount 3"},
}

func TestOpenMetrics2Accepted(t *testing.T) {
	for _, tt := range openMetrics2Accepted {
		families, err := Parse(strings.NewReader(tt.input+"# EOF"), Options{Format: OpenMetrics2})
		if assert.NoError(t, err, "%q", tt.input) {
			requireValid(t, families)
			assert.Equal(t, tt.want, strings.Join(canonical(families), "\n"), "%q", tt.input)
		}
	}
}
