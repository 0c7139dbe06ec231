package textparse

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/form"
)

func TestTextRejected(t *testing.T) {
	for _, r := range []rejection{
		{"a 1", 1, 4, "ends within a line"},
		{"a 1\r\n", 1, 3, "not a number"},
		{"a 0x1p-3\n", 1, 3, "not a number"},
		{"a\n", 1, 2, "the line ends"},
		{"a-b 1\n", 1, 2, "a blank and the value"},
		{"1a 1\n", 1, 1, "metric name"},
		{"a 1 1.5\n", 1, 5, "milliseconds"},
		{"a 1 1 1\n", 1, 7, "the end of the line"},
		{"a 1 # {} 1\n", 1, 7, "the end of the line"},
		{"a{b=\"c\",,} 1\n", 1, 9, "label name"},
		{"a{b=\"c\"d=\"e\"} 1\n", 1, 8, "comma"},
		{"a{b=\"c\" 1\n", 1, 9, "comma"},
		{"a{b='c'} 1\n", 1, 5, "quotes"},
		{"a{b=\"c} 1\n", 1, 5, "closing quote"},
		{"a{b=\"c\\\n", 1, 5, "closing quote"},
		{"a{b=\"c\",b=\"d\"} 1\n", 1, 9, "twice"},
		{"a{\"\"=\"c\"} 1\n", 1, 3, "empty"},
		{"a{\"b\"} 1\n", 1, 6, "equals"},
		{"{} 1\n", 1, 2, "name in quotes"},
		{"{a} 1\n", 1, 2, "name in quotes"},
		{"{\"\"} 1\n", 1, 2, "empty"},
		{"{\"a\"b=\"c\"} 1\n", 1, 5, "comma"},
		{"{b=\"c\",\"a\"} 1\n", 1, 2, "name in quotes"},
		{"a{b=\"\xff\"} 1\n", 1, 6, "UTF-8"},
		{"# HELP\n", 1, 7, "metric name"},
		{"# HELP a-b c\n", 1, 9, "blank"},
		{"# TYPE a\n", 1, 9, "not a type"},
		{"# TYPE a gaugehistogram\n", 1, 10, "not a type"},
		{"# HELP a b\n# HELP a b\n", 2, 3, "second HELP"},
		{"# TYPE a gauge\n# TYPE a gauge\n", 2, 1, "second TYPE"},
		{"a 1\n# TYPE a gauge\n", 2, 1, "after samples"},
		{"a 1\na 2\n", 2, 1, "came before"},
		{"a 1 1\na 2 2\n", 2, 5, "different timestamps"},
		{"a 1\nb 1\na{b=\"c\"} 1\n", 3, 1, "must be together"},
		{"# TYPE a summary\na_sum 1\n# TYPE a_sum gauge\n", 3, 8, "taken by the family \"a\""},
		{"# TYPE a summary\na 1\n", 2, 1, "\"quantile\" is missing"},
		{"# TYPE a summary\na{quantile=\"x\"} 1\n", 2, 3, "compare"},
		{"# TYPE a summary\na_count -1\n", 2, 9, "not a count"},
		{"# TYPE a summary\na{quantile=\"1\"} 1\na{quantile=\"0\"} 1\na{quantile=\"0\"} 1\n", 2, 1, "quantile twice"},
		{"# TYPE a histogram\na 1\n", 2, 1, "no samples of this name"},
		{"# TYPE a histogram\na_bucket 1\n", 2, 1, "\"le\" is missing"},
		{"# TYPE a histogram\na_count{le=\"1\"} 1\n", 2, 9, "does not belong"},
		{"# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"2\"} 1\n", 2, 1, "not cumulative"},
		{"# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count 1\n", 2, 1, "count is not"},
		{"# TYPE a histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\na_bucket{le=\"1\"} 1\n", 2, 1, "one bound"},
	} {
		r.check(t, Options{})
	}
}

func TestTextAccepted(t *testing.T) {
	for _, tt := range []struct{ input, want string }{
		{"", ""},
		{"\n \t\n#\n#c\n# EOF\n# TYPED a b\n#  \xff\n", ""},
		{"\ta\t{ b = \"c\" , }1 \t5\t\n", "unknown|a||\na{b=\"c\"} 1 1970-01-01 00:00:00.005 +0000 UTC"},
		{"a{}1\n", "unknown|a||\na 1"},
		{"a nan\n", "unknown|a||\na NaN"},
		{"#HELP\ta  x\\ny\\z\\\\\\ \na 1\n", "unknown|a||x\ny\\z\\\\ \na 1"},
		{"#\tTYPE a gauge \na -1\n# HELP a late\n", "gauge|a||late\na -1"},
		{"# HELP a\na 1\n", "unknown|a||\na 1"},
		{"# TYPE a_total counter\na_total 1\n", "counter|a||\na_total 1"},
		{"# TYPE a counter\na 1\n", "unknown|a||\na 1"},
		{"# TYPE _total counter\n_total 1\n", "unknown|_total||\n_total 1"},
		{"{\"a.b\"} 1\n", "unknown|a.b||\na.b 1"},
		{"{ \"a.b\" , \"c d\"=\"e\\\"\", } 1\n", "unknown|a.b||\na.b{\"c d\"=\"e\\\"\"} 1"},
		{"# TYPE \"a b\" summary\n{\"a b_sum\"} 2\n{\"a b\",quantile=\"0.5\"} 1\n{\"a b_count\"} 3\n",
			"summary|a b||\na b{quantile=\"0.5\"} 1\na b_sum 2\na b_count 3"},
		{"a_bucket{le=\"x\"} 1\na_sum 1\na_count 1.5\n",
			"unknown|a_bucket||\na_bucket{le=\"x\"} 1\nunknown|a_sum||\na_sum 1\nunknown|a_count||\na_count 1.5"},
		{"# TYPE a histogram\na_sum 5\na_bucket{le=\"2\"} 2\na_bucket{le=\"1\"} 1\na_count 3\n",
			"histogram|a||\na_bucket{le=\"1\"} 1\na_bucket{le=\"2\"} 2\na_bucket{le=\"+Inf\"} 3\na_sum 5\na_count 3"},
		{"# TYPE a histogram\na_bucket{le=\"1\"} 1\n", "histogram|a||\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_count 1"},
		{"# TYPE a histogram\na_bucket{b=\"1\",le=\"inf\"} 1\na_bucket{b=\"0\",le=\"inf\"} 2\na_count{b=\"1\"} 1\na_count{b=\"0\"} 2\n",
			"histogram|a||\na_bucket{b=\"0\",le=\"+Inf\"} 2\na_count{b=\"0\"} 2\n" +
				"a_bucket{b=\"1\",le=\"+Inf\"} 1\na_count{b=\"1\"} 1"},
	} {
		families, err := Parse(strings.NewReader(tt.input), Options{})
		if assert.NoError(t, err, "%q", tt.input) {
			requireValid(t, families)
			assert.Equal(t, tt.want, strings.Join(canonical(families), "\n"), "%q", tt.input)
		}
	}
}

func TestLimits(t *testing.T) {
	long := "a{b=\"" + strings.Repeat("x", 200<<10) + "\"} 1\n"
	for _, tt := range []struct {
		input        string
		opts         Options
		line, column int // 0: accepted
	}{
		{"a 1\n", Options{MaxLine: 3}, 0, 0},
		{"a 12\n", Options{MaxLine: 3}, 1, 4},
		{long, Options{}, 0, 0},
		{long, Options{MaxLine: 100 << 10}, 1, 100<<10 + 1},
		{"# " + strings.Repeat("x", 1<<20), Options{}, 1, 1<<20 + 1},
		{"# " + strings.Repeat("x", 1<<20) + "\n", Options{MaxLine: -1}, 0, 0},
		{"a 1\nb 1\n", Options{MaxBytes: 8}, 0, 0},
		{"a 1\nb 1\n", Options{MaxBytes: 7}, 2, 5},
		{"a 1\nb 1\n", Options{MaxSeries: 2}, 0, 0},
		{"a 1\nb 1\n", Options{MaxSeries: 1}, 2, 1},
		{"a{x=\"1\"} 1\na{x=\"2\"} 1\n", Options{MaxSeries: 1}, 2, 1},
		{"# HELP a x\n# HELP b x\n# HELP c x\n", Options{MaxSeries: 1}, 3, 1},
		{"# HELP a x\n# HELP b x\n# HELP c x\n", Options{MaxSeries: -1}, 0, 0},
	} {
		_, err := Parse(strings.NewReader(tt.input), tt.opts)
		if tt.line == 0 {
			assert.NoError(t, err, "%.40q", tt.input)
			continue
		}
		var e *Error
		require.ErrorAs(t, err, &e, "%.40q", tt.input)
		assert.ErrorIs(t, err, ErrLimit)
		assert.Equal(t, [2]int{tt.line, tt.column}, [2]int{e.Line, e.Column}, "%v", err)
	}
}

// Every cut of an input is detected, except at the end of a line of text.
func TestTruncated(t *testing.T) {
	const text = "# TYPE a gauge\na{b=\"c\"} 1\n"
	for cut := range len(text) {
		_, err := Parse(strings.NewReader(text[:cut]), Options{})
		assert.Equal(t, cut > 0 && text[cut-1] != '\n', errors.Is(err, ErrTruncated), "%q: %v", text[:cut], err)
		_, err = Parse(strings.NewReader(text[:cut]), Options{Format: OpenMetrics})
		assert.ErrorIs(t, err, ErrTruncated, "%q", text[:cut])
	}
}

func TestReaderFails(t *testing.T) {
	broken := errors.New("broken")
	_, err := Parse(io.MultiReader(strings.NewReader("a 1\nb "), iotest.ErrReader(broken)), Options{})
	assert.ErrorIs(t, err, broken)
	assert.EqualError(t, err, "textparse: line 2, column 3: reading failed: broken")
}

// A family is yielded as soon as the next one starts.
func TestFamiliesComeAsTheyAreRead(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	go io.WriteString(w, "a 1\nb 1\n")
	for f, err := range Families(iotest.OneByteReader(r), Options{}) {
		require.NoError(t, err)
		assert.Equal(t, "a", f.Name)
		break
	}
}

// Errors come last, after the families above them.
func TestErrorsEndTheSequence(t *testing.T) {
	var names []string
	failures := 0
	for f, err := range Families(strings.NewReader("a 1\nb 1\nc x\nd 1\n"), Options{}) {
		if err != nil {
			failures++
			assert.Nil(t, f)
			continue
		}
		names = append(names, f.Name)
	}
	assert.Equal(t, []string{"a"}, names) // b may have had more lines
	assert.Equal(t, 1, failures)
}

func TestErrorsShowNoMoreThanAPiece(t *testing.T) {
	_, err := Parse(strings.NewReader("a "+strings.Repeat("x", 1000)+"\n"), Options{})
	assert.Less(t, len(err.Error()), 200)
	assert.Contains(t, err.Error(), "…")
}

// A line that belongs to the previous series costs no allocation. Families with more
// buckets do not allocate more often, except for the growing slice.
func TestBucketsCostNoStrings(t *testing.T) {
	text := func(buckets int) string {
		var b strings.Builder
		b.WriteString("# TYPE a histogram\n")
		for i := range buckets {
			b.WriteString("a_bucket{method=\"GET\",le=\"" + form.FormatFloat(float64(i)) + "\"} 1\n")
		}
		return b.String()
	}
	allocs := func(input string) float64 {
		return testing.AllocsPerRun(10, func() {
			_, err := Parse(strings.NewReader(input), Options{})
			require.NoError(t, err)
		})
	}
	assert.Less(t, allocs(text(1000)), allocs(text(1))+20)
}
