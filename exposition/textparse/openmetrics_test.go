package textparse

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rejection is an input with the position at which it must be rejected.
type rejection struct {
	input        string
	line, column int
	reason       string // part of it
}

func (r rejection) check(t *testing.T, opts Options) {
	t.Helper()
	families, err := Parse(strings.NewReader(r.input), opts)
	var e *Error
	if assert.ErrorAs(t, err, &e, "%q", r.input) {
		assert.Equal(t, [2]int{r.line, r.column}, [2]int{e.Line, e.Column}, "%q: %v", r.input, err)
		assert.Contains(t, e.Reason, r.reason, "%q", r.input)
	}
	assert.Nil(t, families)
}

func TestOpenMetricsRejected(t *testing.T) {
	for _, r := range []rejection{
		// Structure.
		{"", 1, 1, "without # EOF"},
		{"a 1\n", 2, 1, "without # EOF"},
		{"a 1", 1, 4, "ends within a line"},
		{"# EOF\n\n", 2, 1, "after # EOF"},
		{"# EOF\n# EOF", 2, 1, "after # EOF"},
		{"# EOF \n", 1, 6, "text after # EOF"},
		{"\n# EOF\n", 1, 1, "blank line"},
		{"a 1\r\n# EOF\n", 1, 4, "carriage return"},
		{"\ufeffa 1\n# EOF\n", 1, 1, "metric name"},
		{"a{b=\"\xff\"} 1\n# EOF\n", 1, 6, "0xff is not UTF-8"},
		{"#comment\n# EOF\n", 1, 2, "no comments"},
		{"# eof\n# EOF\n", 1, 3, "none of HELP"},
		{"{\"a.b\"} 1\n# EOF\n", 1, 1, "metric name"},
		{"a{\"b\"=\"c\"} 1\n# EOF\n", 1, 3, "label name"},

		// Metadata.
		{"# HELP a b\\\n# EOF\n", 1, 11, "backslash"},
		{"# TYPE a gauge\n# TYPE a gauge\n# EOF\n", 2, 1, "second TYPE"},
		{"# HELP a x\n# HELP a x\n# EOF\n", 2, 3, "second HELP"},
		{"# UNIT a_s s\n# UNIT a_s s\n# EOF\n", 2, 3, "second UNIT"},
		{"a 1\n# TYPE a gauge\n# EOF\n", 2, 3, "TYPE line after samples"},
		{"# TYPE a Gauge\n# EOF\n", 1, 10, "not a type"},
		{"# UNIT s s\n# EOF\n", 1, 10, "does not end in"},
		{"# UNIT as s\n# EOF\n", 1, 11, "does not end in"},
		{"# TYPE a_s info\n# UNIT a_s s\n# EOF\n", 2, 12, "has a unit"},
		{"# UNIT a_s s\n# TYPE a_s stateset\n# EOF\n", 2, 8, "has a unit"},

		// Names and grouping.
		{"a 1\nb 1\na{c=\"d\"} 1\n# EOF\n", 3, 1, "must be together"},
		{"# TYPE a counter\n# HELP a_total x\n# EOF\n", 2, 8, "taken by the family \"a\""},
		{"a_created 1\n# TYPE a summary\n# EOF\n", 2, 8, "came before"},
		{"a 1\na 1\n# EOF\n", 2, 1, "at line 1 or below"},
		{"# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"1\"} 2\n# EOF\n", 4, 1, "must be together"},
		{"# TYPE a gauge\na 1 2\na 1 1\n# EOF\n", 3, 5, "before that"},
		{"# TYPE a gauge\na 1 2\na 1\n# EOF\n", 3, 1, "others have none"},
		{"a{b=\"1\",b=\"1\"} 1\n# EOF\n", 1, 9, "twice"},
		{"a{__name__=\"b\"} 1\n# EOF\n", 1, 3, "__name__"},

		// Values.
		{"a 1e999\n# EOF\n", 1, 3, "not a number"},
		{"a +NaN\n# EOF\n", 1, 3, "not a number"},
		{"a 1 1 \n# EOF\n", 1, 7, "an exemplar"},
		{"# TYPE a counter\na_total NaN\n# EOF\n", 2, 9, "counts up"},
		{"# TYPE a counter\na_created 1\n# EOF\n", 2, 1, "suffix _total"},
		{"# TYPE a counter\na_total 1\na_created NaN\n# EOF\n", 3, 11, "time in seconds"},
		{"# TYPE a info\na_info 0\n# EOF\n", 2, 8, "is 1"},
		{"# TYPE a stateset\na{a=\"x\"} 0.5\n# EOF\n", 2, 10, "0 or 1"},
		{"# TYPE a stateset\na{b=\"x\"} 1\n# EOF\n", 2, 1, "\"a\" is missing"},
		{"# TYPE a stateset\na{a=\"x\"} 1\na{a=\"y\"} 1\na{a=\"y\"} 1\n# EOF\n", 2, 1, "state twice"},
		{"# TYPE a summary\na{quantile=\"1.5\"} 1\n# EOF\n", 2, 3, "between 0 and 1"},
		{"# TYPE a summary\na{quantile=\"1\"} -1\n# EOF\n", 2, 17, "negative"},
		{"# TYPE a summary\na{quantile=\"0\"} 1\na{quantile=\"1\"} 1\na{quantile=\"1.0\"} 1\n# EOF\n", 2, 1, "quantile twice"},
		{"# TYPE a summary\na_count 1.5\n# EOF\n", 2, 9, "not a count"},
		{"# TYPE a summary\na_sum{quantile=\"1\"} 1\n# EOF\n", 2, 7, "does not belong"},

		// Histograms.
		{"# TYPE a histogram\na_created 1\n# EOF\n", 2, 1, "no bucket +Inf"},
		{"# TYPE a histogram\na_bucket{le=\"1\"} 1\n# EOF\n", 2, 1, "no bucket +Inf"},
		{"# TYPE a histogram\na_bucket{le=\"inf\"} 1\n# EOF\n", 2, 10, "written as +Inf"},
		{"# TYPE a histogram\na_bucket{le=\"NaN\"} 1\n# EOF\n", 2, 10, "compare"},
		{"# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_bucket{le=\"1\"} 1\n# EOF\n", 4, 1, "came before"},
		{"# TYPE a histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\n# EOF\n", 3, 10, "ascend"},
		{"# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n# EOF\n", 3, 21, "cumulative"},
		{"# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\n# EOF\n", 2, 1, "without"},
		{"# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2\na_sum 1\n# EOF\n", 2, 1, "count is not"},
		{"# TYPE a histogram\na_bucket{le=\"-1\"} 1\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n", 2, 1, "negative bound"},
		{"# TYPE a gaugehistogram\na_bucket{le=\"+Inf\"} 1\na_gcount 1\na_gsum -1\n# EOF\n", 2, 1, "the sum is negative"},
		{"# TYPE a gaugehistogram\na_bucket{le=\"+Inf\"} 1\na_gcount 1\na_gsum NaN\n# EOF\n", 4, 8, "NaN"},

		// Exemplars.
		{"a 1 # {} 1\n# EOF\n", 1, 5, "only counters' totals"},
		{"# TYPE a counter\na_total 1 # {} 1 x\n# EOF\n", 2, 18, "time in seconds"},
		{"# TYPE a counter\na_total 1 # {b=\"c\",} 1\n# EOF\n", 2, 20, "a label"},
		{"# TYPE a counter\na_total 1 # {b=\"" + strings.Repeat("é", 128) + "\"} 1\n# EOF\n", 2, 11, "129 characters"},
		{"# TYPE a histogram\na_bucket{le=\"1\"} 1 # {} 1.5\n# EOF\n", 2, 25, "not in the bucket"},
		{"# TYPE a histogram\na_bucket{le=\"+Inf\"} 1 # {} NaN\n# EOF\n", 2, 28, "not in the bucket"},
	} {
		r.check(t, Options{Format: OpenMetrics})
	}
}

func TestOpenMetricsAccepted(t *testing.T) {
	for _, tt := range []struct{ input, want string }{
		{"", ""},
		{"a 1\n", "unknown|a||\na 1"},
		{"a 1.\n", "unknown|a||\na 1"},
		{"a -.5e1\n", "unknown|a||\na -5"},
		{"a -infinity\n", "unknown|a||\na -Inf"},
		{"_a{__b=\"c\"} 1\n", "unknown|_a||\n_a{__b=\"c\"} 1"},
		{"a{c=\"\",b=\"\\\"\\\\\\n\\x\"} 1\n", "unknown|a||\na{b=\"\\\"\\\\\\n\\\\x\",c=\"\"} 1"},
		{"# HELP a \"x\\\\\" \n# TYPE a gauge\na 1\n", "gauge|a||\"x\\\" \na 1"},
		{"# UNIT a_s s\n# TYPE a_s gauge\na_s 1\n", "gauge|a_s|s|\na_s 1"},
		{"# UNIT a \n# TYPE a info\na_info 1\n", "info|a||\na_info 1"},
		{"a 1 -1.5\n", "unknown|a||\na 1 1969-12-31 23:59:58.5 +0000 UTC"},
		{"a 1 1e-9\n", "unknown|a||\na 1 1970-01-01 00:00:00.000000001 +0000 UTC"},
		{"a 1 1520879607.789\n", "unknown|a||\na 1 2018-03-12 18:33:27.789 +0000 UTC"},
		{"a 1 1\na 2 1\na 3 2\n", "unknown|a||\na 3 1970-01-01 00:00:02 +0000 UTC"},
		{"a{b=\"2\"} 1\na{b=\"1\"} 2\n", "unknown|a||\na{b=\"1\"} 2\na{b=\"2\"} 1"},
		{"# TYPE a counter\na_created 1.000000001\na_total 1 # {} NaN 0.5\n",
			"counter|a||\na_created 1970-01-01 00:00:01.000000001 +0000 UTC\na_total 1 #  NaN 1970-01-01 00:00:00.5 +0000 UTC"},
		{"# TYPE a stateset\na{a=\"y\",b=\"c\"} 1.0\na{a=\"x\",b=\"c\"} 0\n", "stateset|a||\na{a=\"y\",b=\"c\"} 1\na{a=\"x\",b=\"c\"} 0"},
		{"# TYPE a summary\na{quantile=\"1.0\"} NaN\na{quantile=\"0\"} 1\n",
			"summary|a||\na{quantile=\"0\"} 1\na{quantile=\"1\"} NaN\na_count 0"},
		{"# TYPE a summary\na_count 1 1\na_sum 2 1\na_count 2 2\na_sum 3 2\n",
			"summary|a||\na_sum 3 1970-01-01 00:00:02 +0000 UTC\na_count 2 1970-01-01 00:00:02 +0000 UTC"},
		{"# TYPE a histogram\na_bucket{le=\"1e0\"} 1 # {x=\"y\"} 1\na_bucket{le=\"+Inf\"} 2\n",
			"histogram|a||\na_bucket{le=\"1\"} 1 # {x=\"y\"} 1\na_bucket{le=\"+Inf\"} 2\na_count 2"},
		{"# TYPE a gaugehistogram\na_bucket{le=\"-1\"} 1\na_bucket{le=\"+Inf\"} 1\na_gsum -2\na_gcount 1.0\n",
			"gaugehistogram|a||\na_bucket{le=\"-1\"} 1\na_bucket{le=\"+Inf\"} 1\na_gsum -2\na_gcount 1"},
	} {
		families, err := Parse(strings.NewReader(tt.input+"# EOF"), Options{Format: OpenMetrics})
		if assert.NoError(t, err, "%q", tt.input) {
			requireValid(t, families)
			assert.Equal(t, tt.want, strings.Join(canonical(families), "\n"), "%q", tt.input)
		}
	}
}

// Timestamps end where Prometheus' milliseconds do, and still are in order.
func TestTimestampsOfAnySize(t *testing.T) {
	for _, digits := range []string{"12345678901234567890.5", "-1e300", "99999999999999999999999"} {
		families, err := Parse(strings.NewReader("a 1 "+digits+"\na 2 "+digits+"\n# EOF\n"), Options{Format: OpenMetrics})
		require.NoError(t, err)
		assert.EqualValues(t, int64(lastSecond), max(families[0].Series[0].Timestamp.Unix(), -families[0].Series[0].Timestamp.Unix()))
	}
}

func TestQuotedNames(t *testing.T) {
	const input = "# HELP \"a b\" c\n# TYPE \"a b\" counter\n{\"a b_total\",\"c d\"=\"e\"} 1 # {\"f g\"=\"h\"} 1\n# EOF\n"
	families, err := Parse(strings.NewReader(input), Options{Format: OpenMetrics, QuotedNames: true})
	require.NoError(t, err)
	require.Equal(t, []string{"counter|a b||c", `a b_total{"c d"="e"} 1 # {"f g"="h"} 1`}, canonical(families))
	rejection{input, 1, 8, "metric name"}.check(t, Options{Format: OpenMetrics})
	for _, r := range []rejection{
		{"{\"a\"  } 1\n# EOF\n", 1, 5, "comma"},
		{"{\"a\", b=\"c\"} 1\n# EOF\n", 1, 6, "label name"},
		{"{\"\"} 1\n# EOF\n", 1, 2, "empty"},
		{"# TYPE \"a gauge\n# EOF\n", 1, 8, "closing quote"},
		{"{a} 1\n# EOF\n", 1, 2, "name in quotes"},
	} {
		r.check(t, Options{Format: OpenMetrics, QuotedNames: true})
	}
}
