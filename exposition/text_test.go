package exposition

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	legacy  = Options{}
	created = Options{Created: true}
	quoted  = Options{ContentType: ContentType{Text100, AllowUTF8}}
	open1   = Options{ContentType: ContentType{Format: OpenMetrics100}, Created: true}
	open1q  = Options{ContentType: ContentType{OpenMetrics100, AllowUTF8}, Created: true}
	plain1  = Options{ContentType: ContentType{Text100, Underscores}}
)

func encodeAll(t *testing.T, opts Options, families ...*metric.Family) string {
	t.Helper()
	text, err := Append(nil, families, opts)
	require.NoError(t, err)
	return string(text)
}

// withExemplars returns buckets with an exemplar in the second and third.
func withExemplars(buckets []metric.Bucket) []metric.Bucket {
	buckets = slices.Clone(buckets)
	buckets[1].Exemplar = &metric.Exemplar{Labels: metric.MakeLabels("trace_id", "a\"b"), Value: 0.25, Timestamp: time.Unix(1700000000, 5e6)}
	buckets[2].Exemplar = &metric.Exemplar{Labels: metric.MakeLabels("span.id", "x"), Value: 2}
	return buckets
}

func one(name string, typ metric.Type, series ...metric.Series) *metric.Family {
	return &metric.Family{Name: name, Help: "Help of " + name + ".", Type: typ, Series: series}
}

// everyType has a family of each type, with everything that a text format can show.
func everyType() []*metric.Family {
	began := time.Unix(1700000000, 250e6)
	a, b := metric.MakeLabels("code", "200", "zone", "a"), metric.MakeLabels("code", "500", "zone", "a")
	buckets := metric.Cumulate([]float64{0.005, 1, 2.5}, []uint64{1, 2, 0, 4})
	return []*metric.Family{
		one("a_counter", metric.Counter,
			metric.Series{Labels: a, Value: 1027, Created: began, Exemplar: &metric.Exemplar{Value: 1}},
			metric.Series{Labels: b, Value: 0.5, Created: began, Timestamp: time.UnixMilli(1700000001500)}),
		one("b_gauge", metric.Gauge, metric.Series{Value: -0.25}),
		one("c_histogram", metric.Histogram,
			metric.Series{Labels: a, Buckets: withExemplars(buckets), Count: 7, Sum: 33.5, Created: began},
			metric.Series{Labels: b, Buckets: buckets, Count: 7, Sum: math.NaN()}),
		one("d_summary", metric.Summary,
			metric.Series{Quantiles: []metric.Quantile{{Q: 0.5, Value: 1.5}, {Q: 0.99, Value: math.Inf(1)}}, Count: 3, Sum: 4.5, Created: began}),
		one("e_target", metric.Info, metric.Series{Labels: metric.MakeLabels("version", "1.2.3"), Value: 1}),
		one("f_state", metric.StateSet,
			metric.Series{Labels: metric.MakeLabels("pid", "7"), States: []metric.State{{Name: "up"}, {Name: "down", On: true}}}),
		one("g_unknown", metric.Unknown, metric.Series{Value: 1e300}),
		one("h_gaugehistogram", metric.GaugeHistogram,
			metric.Series{Labels: a, Buckets: buckets, Count: 7, Sum: 33.5},
			metric.Series{Labels: b, Buckets: buckets, Count: 7, Sum: 3}),
		{Name: "i_age_seconds", Help: "With a unit.", Unit: "seconds", Type: metric.Gauge, Series: []metric.Series{{Value: math.Inf(-1)}}},
	}
}

func TestGolden(t *testing.T) {
	dotted := everyType()
	for _, f := range dotted {
		f.Name = strings.Replace(f.Name, "_", ".", 1)
		f.Series[0].Labels = f.Series[0].Labels.With("größe", "groß")
	}
	for name, tt := range map[string]struct {
		families []*metric.Family
		opts     Options
	}{
		"every-type":            {everyType(), legacy},
		"every-type-created":    {everyType(), created},
		"utf8-names":            {dotted, Options{ContentType: quoted.ContentType, Created: true}},
		"utf8-names-underscore": {dotted, created},
		"utf8-names-values":     {dotted, Options{ContentType: ContentType{Text100, Values}, Created: true}},
		"openmetrics":           {everyType(), open1},
		"openmetrics-utf8":      {dotted, open1q},
		"openmetrics-dots":      {dotted, Options{ContentType: ContentType{OpenMetrics100, Dots}, Created: true}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".txt")
			got := encodeAll(t, tt.opts, tt.families...)
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), got)
		})
	}
}

func TestEachTypeAlone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		family *metric.Family
		opts   Options
		want   string
	}{
		{"counter", one("x", metric.Counter, metric.Series{Value: 1}), legacy,
			"# HELP x_total Help of x.\n# TYPE x_total counter\nx_total 1\n"},
		{"text 1.0.0 differs by its content type only", one("x", metric.Counter, metric.Series{Value: 1}), plain1,
			"# HELP x_total Help of x.\n# TYPE x_total counter\nx_total 1\n"},
		{"no help", &metric.Family{Name: "x", Type: metric.Gauge, Series: []metric.Series{{Value: 1}}}, legacy,
			"# TYPE x gauge\nx 1\n"},
		{"no series", one("x", metric.Gauge), legacy, ""},
		{"a type of the future", one("x", 99, metric.Series{}), legacy, ""},
		{"only the series that have one get a created time",
			one("x", metric.Counter, metric.Series{Labels: metric.MakeLabels("a", "1"), Created: time.Unix(5, 0)}, metric.Series{Labels: metric.MakeLabels("a", "2")}), created,
			"# HELP x_total Help of x.\n# TYPE x_total counter\nx_total{a=\"1\"} 0\nx_total{a=\"2\"} 0\n" +
				"# HELP x_created Help of x.\n# TYPE x_created gauge\nx_created{a=\"1\"} 5\n"},
		{"no created time, no created gauge", one("x", metric.Counter, metric.Series{}), created,
			"# HELP x_total Help of x.\n# TYPE x_total counter\nx_total 0\n"},
		{"a created time before the epoch, and a gauge's, which counts for nothing",
			&metric.Family{Name: "x", Type: metric.Summary, Series: []metric.Series{{Created: time.Unix(-2, 5e8)}}}, created,
			"# TYPE x summary\nx_sum 0\nx_count 0\n# TYPE x_created gauge\nx_created -1.5\n"},
		{"a gauge has no created time", one("x", metric.Gauge, metric.Series{Created: time.Unix(5, 0)}), created,
			"# HELP x Help of x.\n# TYPE x gauge\nx 0\n"},
		{"a histogram without +Inf gets it", &metric.Family{Name: "x", Type: metric.Histogram, Series: []metric.Series{
			{Buckets: []metric.Bucket{{UpperBound: 1, Count: 2}}, Count: 3, Sum: 4}}}, legacy,
			"# TYPE x histogram\nx_bucket{le=\"1\"} 2\nx_bucket{le=\"+Inf\"} 3\nx_sum 4\nx_count 3\n"},
		{"a histogram without buckets", &metric.Family{Name: "x", Type: metric.Histogram, Series: []metric.Series{{Count: 3, Sum: 4}}}, legacy,
			"# TYPE x histogram\nx_bucket{le=\"+Inf\"} 3\nx_sum 4\nx_count 3\n"},
		{"negative bounds have a sum all the same, and so has one of NaN", &metric.Family{Name: "x", Type: metric.Histogram, Series: []metric.Series{
			{Labels: metric.MakeLabels("a", "1"), Buckets: metric.Cumulate([]float64{-1}, []uint64{1, 1}), Count: 2, Sum: -4},
			{Labels: metric.MakeLabels("a", "2"), Buckets: metric.Cumulate([]float64{-1}, []uint64{1, 1}), Count: 2, Sum: math.NaN()}}}, legacy,
			"# TYPE x histogram\nx_bucket{a=\"1\",le=\"-1\"} 1\nx_bucket{a=\"1\",le=\"+Inf\"} 2\nx_sum{a=\"1\"} -4\nx_count{a=\"1\"} 2\n" +
				"x_bucket{a=\"2\",le=\"-1\"} 1\nx_bucket{a=\"2\",le=\"+Inf\"} 2\nx_sum{a=\"2\"} NaN\nx_count{a=\"2\"} 2\n"},
		{"bounds that differ between series", &metric.Family{Name: "x", Type: metric.GaugeHistogram, Series: []metric.Series{
			{Labels: metric.MakeLabels("a", "1"), Buckets: metric.Cumulate([]float64{1, 2, 3}, []uint64{1, 1, 1, 1}), Count: 4, Sum: 9},
			{Labels: metric.MakeLabels("a", "2"), Buckets: metric.Cumulate([]float64{1, 5}, []uint64{1, 1, 1}), Count: 3, Sum: 9},
			{Labels: metric.MakeLabels("a", "3"), Buckets: metric.Cumulate([]float64{1, 5, 6}, []uint64{1, 1, 1, 1}), Count: 4, Sum: 9}}}, legacy,
			"# TYPE x histogram\n" +
				"x_bucket{a=\"1\",le=\"1\"} 1\nx_bucket{a=\"1\",le=\"2\"} 2\nx_bucket{a=\"1\",le=\"3\"} 3\nx_bucket{a=\"1\",le=\"+Inf\"} 4\n" +
				"x_bucket{a=\"2\",le=\"1\"} 1\nx_bucket{a=\"2\",le=\"5\"} 2\nx_bucket{a=\"2\",le=\"+Inf\"} 3\n" +
				"x_bucket{a=\"3\",le=\"1\"} 1\nx_bucket{a=\"3\",le=\"5\"} 2\nx_bucket{a=\"3\",le=\"6\"} 3\nx_bucket{a=\"3\",le=\"+Inf\"} 4\n" +
				"# TYPE x_gcount gauge\nx_gcount{a=\"1\"} 4\nx_gcount{a=\"2\"} 3\nx_gcount{a=\"3\"} 4\n" +
				"# TYPE x_gsum gauge\nx_gsum{a=\"1\"} 9\nx_gsum{a=\"2\"} 9\nx_gsum{a=\"3\"} 9\n"},
		{"counts beyond what a float64 holds", &metric.Family{Name: "x", Type: metric.Summary, Series: []metric.Series{{Count: math.MaxUint64}}}, legacy,
			"# TYPE x summary\nx_sum 0\nx_count 18446744073709551615\n"},
		{"a label that the type writes itself", &metric.Family{Name: "x", Type: metric.Summary, Series: []metric.Series{
			{Labels: metric.MakeLabels("a", "1", "quantile", "mine"), Quantiles: []metric.Quantile{{Q: 1, Value: 2}}}}}, legacy,
			"# TYPE x summary\nx{a=\"1\",quantile=\"1\"} 2\nx_sum{a=\"1\"} 0\nx_count{a=\"1\"} 0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, encodeAll(t, tt.opts, tt.family))
		})
	}
}

func TestEscaping(t *testing.T) {
	gauge := func(name, help string, labels ...string) *metric.Family {
		return &metric.Family{Name: name, Help: help, Type: metric.Gauge, Series: []metric.Series{{Labels: metric.MakeLabels(labels...)}}}
	}
	for _, tt := range []struct {
		name   string
		family *metric.Family
		opts   Options
		want   string
	}{
		{"help", gauge("x", "a \\ back\\slash, a \n line \"feed\""), legacy,
			"# HELP x a \\\\ back\\\\slash, a \\n line \"feed\"\n# TYPE x gauge\nx 0\n"},
		{"help that is not UTF-8", gauge("x", "a\xffb"), legacy, "# HELP x a\uFFFDb\n# TYPE x gauge\nx 0\n"},
		{"label value", gauge("x", "", "a", "\\\n\"\r\t é"), legacy, "# TYPE x gauge\nx{a=\"\\\\\\n\\\"\r\t é\"} 0\n"},
		{"empty label value", gauge("x", "", "a", ""), legacy, "# TYPE x gauge\nx{a=\"\"} 0\n"},
		{"label value that is not UTF-8", gauge("x", "", "a", "\xffb\xfe"), legacy, "# TYPE x gauge\nx{a=\"\uFFFDb\uFFFD\"} 0\n"},
		{"the same in UTF-8 mode", gauge("x", "", "a", "\xffb\xfe"), quoted, "# TYPE x gauge\nx{a=\"\uFFFDb\uFFFD\"} 0\n"},
		{"dots, digits, colons", gauge("1a.b:c", "", "1x.y:z", "v"), legacy, "# TYPE _a_b:c gauge\n_a_b:c{_x_y_z=\"v\"} 0\n"},
		{"the same in text 1.0.0 without allow-utf-8", gauge("1a.b:c", "", "1x.y:z", "v"), plain1, "# TYPE _a_b:c gauge\n_a_b:c{_x_y_z=\"v\"} 0\n"},
		{"text 0.0.4 knows no quotes", gauge("a.b", ""), Options{ContentType: ContentType{Text004, AllowUTF8}}, "# TYPE a_b gauge\na_b 0\n"},
		{"one underscore for a character", gauge("ä€😀", ""), legacy, "# TYPE ___ gauge\n___ 0\n"},
		{"quoted name", gauge("a.b", "h"), quoted, "# HELP \"a.b\" h\n# TYPE \"a.b\" gauge\n{\"a.b\"} 0\n"},
		{"quoted name and labels", gauge("a.b", "", "c", "d", "e.f", "g"), quoted, "# TYPE \"a.b\" gauge\n{\"a.b\",c=\"d\",\"e.f\"=\"g\"} 0\n"},
		{"only labels quoted", gauge("a:b", "", "c:d", "e"), quoted, "# TYPE a:b gauge\na:b{\"c:d\"=\"e\"} 0\n"},
		{"name with what quotes must escape", gauge("a\"\\\nb", "", "\"", "v"), quoted,
			"# TYPE \"a\\\"\\\\\\nb\" gauge\n{\"a\\\"\\\\\\nb\",\"\\\"\"=\"v\"} 0\n"},
		{"name that is not UTF-8", gauge("a\xff", ""), quoted, "# TYPE \"a\uFFFD\" gauge\n{\"a\uFFFD\"} 0\n"},
		{"empty names", gauge("", "", "", "v"), quoted, "# TYPE _ gauge\n_{_=\"v\"} 0\n"},
		{"state set with a name that no label may have",
			&metric.Family{Name: "a:b", Type: metric.StateSet, Series: []metric.Series{{States: []metric.State{{Name: "\"on\"\xff", On: true}}}}}, legacy,
			"# TYPE a:b gauge\na:b{a_b=\"\\\"on\\\"\uFFFD\"} 1\n"},
		{"state set with a quoted name",
			&metric.Family{Name: "a.b", Type: metric.StateSet, Series: []metric.Series{{States: []metric.State{{Name: "on"}}}}}, quoted,
			"# TYPE \"a.b\" gauge\n{\"a.b\",\"a.b\"=\"on\"} 0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, encodeAll(t, tt.opts, tt.family))
		})
	}
}

// Of equal names, the first stays and the others are reported.
func TestCollisions(t *testing.T) {
	s := func(namesAndValues ...string) metric.Series {
		return metric.Series{Labels: metric.MakeLabels(namesAndValues...)}
	}
	bare := func(name string, typ metric.Type, series ...metric.Series) *metric.Family {
		return &metric.Family{Name: name, Type: typ, Series: series}
	}
	began := metric.Series{Created: time.Unix(9, 0)}
	for _, tt := range []struct {
		name     string
		opts     Options
		families []*metric.Family
		want     string
		names    []string
		series   int
	}{
		{"two families become equal", legacy,
			[]*metric.Family{bare("a.b", metric.Gauge, s()), bare("a_b", metric.Gauge, s("x", "1"))},
			"# TYPE a_b gauge\na_b 0\n", []string{"a_b"}, 0},
		{"quoted, they do not", quoted,
			[]*metric.Family{bare("a.b", metric.Gauge, s()), bare("a_b", metric.Gauge, s())},
			"# TYPE \"a.b\" gauge\n{\"a.b\"} 0\n# TYPE a_b gauge\na_b 0\n", nil, 0},
		{"a gauge with a counter's sample name", legacy,
			[]*metric.Family{bare("a", metric.Counter, s()), bare("a_total", metric.Gauge, s())},
			"# TYPE a_total counter\na_total 0\n", []string{"a_total"}, 0},
		{"a summary with the name of a gauge", legacy,
			[]*metric.Family{bare("a_sum", metric.Gauge, s()), bare("a", metric.Summary, s())},
			"# TYPE a_sum gauge\na_sum 0\n", []string{"a"}, 0},
		{"a counter and a gauge differ by _total", legacy,
			[]*metric.Family{bare("a", metric.Counter, s()), bare("a", metric.Gauge, s())},
			"# TYPE a_total counter\na_total 0\n# TYPE a gauge\na 0\n", nil, 0},
		{"what is called x_created goes before the created times of x", created,
			[]*metric.Family{bare("a", metric.Counter, began), bare("a_created", metric.Gauge, s())},
			"# TYPE a_total counter\na_total 0\n# TYPE a_created gauge\na_created 0\n", []string{"a_created"}, 0},
		{"created times of two families", created,
			[]*metric.Family{bare("a", metric.Counter, began), bare("a", metric.Summary, began)},
			"# TYPE a_total counter\na_total 0\n# TYPE a_created gauge\na_created 9\n# TYPE a summary\na_sum 0\na_count 0\n", []string{"a_created"}, 0},
		{"two series become equal", legacy,
			[]*metric.Family{bare("a", metric.Gauge, s("b.c", "1"), s("b.c", "2"), s("b_c", "1"))},
			"# TYPE a gauge\na{b_c=\"1\"} 0\na{b_c=\"2\"} 0\n", nil, 1},
		{"also in another order of labels", legacy,
			[]*metric.Family{bare("a", metric.Gauge, s("b.b", "1", "b_a", "2"), s("b_a", "2", "b_b", "1"))},
			"# TYPE a gauge\na{b_a=\"2\",b_b=\"1\"} 0\n", nil, 1},
		{"two labels of a series become equal", legacy,
			[]*metric.Family{bare("a", metric.Gauge, s("b.c", "1", "b_c", "2"), s("d", "1"))},
			"# TYPE a gauge\na{d=\"1\"} 0\n", nil, 1},
		{"two values become equal", legacy,
			[]*metric.Family{bare("a", metric.Gauge, s("b", "\xfe"), s("b", "\xff"))},
			"# TYPE a gauge\na{b=\"\uFFFD\"} 0\n", nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Append(nil, tt.families, tt.opts)
			assert.Equal(t, tt.want, string(got))
			if tt.names == nil && tt.series == 0 {
				assert.NoError(t, err)
				return
			}
			var omission *OmissionError
			require.ErrorAs(t, err, &omission)
			assert.Equal(t, OmissionError{Names: tt.names, Series: tt.series}, *omission)
		})
	}
}

func TestOmissionErrorNamesSome(t *testing.T) {
	for _, tt := range []struct {
		err  OmissionError
		want string
	}{
		{OmissionError{Series: 2}, "exposition: left out: 2 series with the same name and labels as another"},
		{OmissionError{Values: 1}, "exposition: left out: 1 series with a value that the format does not have, NaN or a negative counter"},
		{OmissionError{Timestamps: 3, Oversize: 1}, "exposition: left out: 3 series with a timestamp, which the receiver refuses; 1 line that a UDP packet cannot hold"},
		{OmissionError{Names: []string{"a"}, Series: 1}, `exposition: left out: 1 family whose name is taken: ["a"]; 1 series with the same name and labels as another`},
		{OmissionError{Names: []string{"a", "b", "c", "d", "e", "f"}}, `exposition: left out: 6 families whose name is taken: ["a" "b" "c" "d" "e"]…`},
	} {
		assert.EqualError(t, tt.err.OrNil(), tt.want)
	}
	assert.NoError(t, new(OmissionError).OrNil())
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	got, err := Append([]byte("before\n"), []*metric.Family{nil, one("x", metric.Gauge, metric.Series{})}, legacy)
	require.NoError(t, err)
	assert.Equal(t, "before\n# HELP x Help of x.\n# TYPE x gauge\nx 0\n", string(got))
}

// pieces keeps each Write separate, and fails from a given one on.
type pieces struct {
	written [][]byte
	failAt  int
}

var errFull = errors.New("full")

func (p *pieces) Write(b []byte) (int, error) {
	if len(p.written) == p.failAt {
		return 0, errFull
	}
	p.written = append(p.written, bytes.Clone(b))
	return len(b), nil
}

// The pieces that Encode writes add up to what Append returns, even if a piece ends
// between two series that share bucket bounds.
func TestEncodeInPieces(t *testing.T) {
	families := manySeries(3000)
	want, err := Append(nil, families, created)
	require.NoError(t, err)

	w := &pieces{failAt: -1}
	require.NoError(t, Encode(w, families, created))
	assert.Equal(t, string(want), string(bytes.Join(w.written, nil)))
	assert.Greater(t, len(w.written), 3)
	for _, piece := range w.written {
		assert.Less(t, len(piece), 2*flushSize)
	}
}

func TestEncodeStopsAtAnError(t *testing.T) {
	w := &pieces{failAt: 1}
	assert.ErrorIs(t, Encode(w, manySeries(3000), legacy), errFull)
	assert.Len(t, w.written, 1)
	// After an encoder has failed for one caller, others are not affected.
	assert.NoError(t, Encode(&pieces{failAt: -1}, manySeries(10), legacy))
}
