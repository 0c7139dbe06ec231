package exposition

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// schemes are the escaping schemes with their names in the oracle.
var schemes = map[Escaping]model.EscapingScheme{
	Underscores: model.UnderscoreEscaping, AllowUTF8: model.NoEscaping, Dots: model.DotsEscaping, Values: model.ValueEncodingEscaping,
}

func TestNamesOfEscaping(t *testing.T) {
	var got Escaping
	for scheme, theirs := range schemes {
		require.NoError(t, got.UnmarshalText([]byte(theirs.String())))
		require.Equal(t, scheme, got)
	}
	got = Dots
	for _, name := range []string{"", "nonsense", "Dots"} {
		require.ErrorContains(t, got.UnmarshalText([]byte(name)), "unknown escaping scheme")
		require.Equal(t, Dots, got)
	}
}

// FuzzEscape compares with Prometheus' own function. Two things differ: bytes that are
// not UTF-8 are replaced, and an empty name becomes one that can be written.
func FuzzEscape(f *testing.F) {
	for _, name := range []string{"a", "a_b", "a.b", "1a", "a:b", "ä€😀", "__", "U__a", "\xff\xfea", "a\"\\\n", "", "foo.bar_total", "\U0010FFFF"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for scheme, theirs := range schemes {
			got := escapeName(name, scheme)
			label := escapeLabelName(name, scheme)
			if name == "" {
				require.Equal(t, "_", got)
				require.Equal(t, "_", label)
				continue
			}
			if want := model.EscapeName(name, theirs); scheme != AllowUTF8 {
				require.Equal(t, want, got)
				require.True(t, form.IsLegacyName(got), "%q", got)
				require.True(t, form.IsLegacyLabelName(label), "%q", label)
			} else if utf8.ValidString(name) {
				require.Equal(t, want, got)
			}
			if !strings.Contains(name, ":") {
				require.Equal(t, got, label)
			}
			// Theirs reads at most five digits, and takes a name that starts like an
			// escaped one for escaped.
			six := strings.ContainsFunc(name, func(r rune) bool { return r > 0xFFFFF })
			if scheme == Values && utf8.ValidString(name) && !strings.HasPrefix(name, "U__") && !six {
				require.Equal(t, name, model.UnescapeName(got, theirs))
				require.Equal(t, name, model.UnescapeName(label, theirs))
			}
		}
	})
}

var sampleValue = regexp.MustCompile(` [^ "]+$`)

// Families whose names need escaping have, in each text format, the names that
// Prometheus' own encoders write. Theirs write values differently, and leave alone
// names that only the scheme dots changes.
func TestEscapedNamesAsExpfmt(t *testing.T) {
	labels := metric.MakeLabels("http.code", "200", "zone.name_x", "a")
	families := []*metric.Family{
		{Name: "a.counter_x", Help: "A.", Type: metric.Counter, Series: []metric.Series{{Labels: labels, Value: 1, Created: time.Unix(5, 0)}}},
		{Name: "b.gauge_x", Help: "B.", Type: metric.Gauge, Series: []metric.Series{{Labels: labels, Value: 1}}},
		{Name: "c.histogram_x", Help: "C.", Type: metric.Histogram, Series: []metric.Series{{Labels: labels, Buckets: metric.Cumulate([]float64{1.5}, []uint64{1, 2}), Count: 3, Sum: 4.5}}},
		{Name: "d.summary_x", Help: "D.", Type: metric.Summary, Series: []metric.Series{{Labels: labels, Quantiles: []metric.Quantile{{Q: 0.5, Value: 1}}, Count: 3, Sum: 4.5}}},
		{Name: "größe 😀", Help: "E.", Type: metric.Unknown, Series: []metric.Series{{Labels: labels, Value: 1}}},
	}
	for scheme, theirs := range schemes {
		for version, format := range map[Format]expfmt.Format{Text100: expfmt.FmtText, OpenMetrics100: expfmt.FmtOpenMetrics_1_0_0, Protobuf: expfmt.FmtProtoDelim} {
			var want bytes.Buffer
			encoder := expfmt.NewEncoder(&want, format.WithEscapingScheme(theirs), expfmt.WithCreatedLines())
			for _, m := range dtos(families) {
				require.NoError(t, encoder.Encode(m))
			}
			require.NoError(t, encoder.(expfmt.Closer).Close())
			got, err := Append(nil, families, Options{ContentType: ContentType{version, scheme}, Created: version != Text100})
			require.NoError(t, err)
			if version == Protobuf {
				require.Equal(t, want.Len(), len(got), "%v", theirs)
				continue
			}
			require.Equal(t, namesOnly(want.String()), namesOnly(string(got)), "%v", theirs)
		}
	}
}

// namesOnly returns a text without values.
func namesOnly(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			line = sampleValue.ReplaceAllString(strings.TrimSuffix(line, "\n"), "") + "\n"
		}
		out.WriteString(line)
	}
	return out.String()
}
